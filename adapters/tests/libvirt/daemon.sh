#!/bin/bash
# A libvirt daemon with everything of its own: run by the tests as the first process of its own mount, PID and
# host name namespaces. $1 is its folder. What it is told comes over standard input, one shell line each; when
# that ends (the test is over, or was killed) everything in here ends with it.
home=$1
hostname "primrack-${home##*/}"
for place in run/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt etc/libvirt; do
    mkdir -p "/$place" "$home/$place"
    mount --bind "$home/$place" "/$place" || exit 1
done

# A /dev/kvm that opens may not run guests, and then libvirt tries it for a minute at each turn: a /dev without.
mkdir "$home/dev"
mount -t tmpfs -o mode=755 none "$home/dev" || exit 1
cp -a /dev/{null,zero,full,random,urandom,tty,ptmx} "$home/dev/"
mkdir "$home/dev/"{pts,shm,net}
[ -e /dev/net/tun ] && cp -a /dev/net/tun "$home/dev/net/"
[ -e /dev/fuse ] && cp -a /dev/fuse "$home/dev/"
ln -s /proc/self/fd "$home/dev/fd"
mount --bind /dev/pts "$home/dev/pts" && mount --bind /dev/shm "$home/dev/shm" && mount --move "$home/dev" /dev || exit 1

# libvirt's LXC driver does not get along with two versions of cgroups side by side.
mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified

start() {
    /usr/sbin/libvirtd --pid-file /run/libvirt/libvirtd.pid $options >"$home/libvirtd.log" 2>&1 &
    daemon=$!
}
stop() {
    kill -"$1" "$daemon"
    wait "$daemon"
    rm -f /run/libvirt/libvirt-sock
}
options=
[ -e "$home/listen" ] && options=--listen
start
echo "started"
while read -r line; do
    eval "$line"
    echo "done"
done
