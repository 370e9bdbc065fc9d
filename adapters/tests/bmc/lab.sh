#!/bin/bash
# A libvirt of its own with one machine, in front of which tests put emulated BMCs. Runs as the first process of a
# process namespace and in a mount namespace, so that nothing is seen outside and everything ends with this.
# Arguments: a folder, the guest's kernel and its first file system. Then takes commands, one per line, and answers
# each with a line `= STATUS`; the end of its input is its end.
set -e
LAB=$1
export LAB LIBVIRT_DEFAULT_URI=qemu:///system
mount --make-rprivate /
for folder in /run/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt; do
  mkdir -p "$folder"
  mount -t tmpfs -o mode=755 lab "$folder"
done
# While there is a /dev/kvm in which nothing runs, libvirt probes QEMU anew at each step. So: a /dev without it.
mkdir "$LAB/dev"
mount -t tmpfs -o mode=755 lab "$LAB/dev"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty "$LAB/dev/"
mkdir "$LAB/dev/pts" "$LAB/dev/shm"
mount --bind /dev/pts "$LAB/dev/pts"
ln -s pts/ptmx "$LAB/dev/ptmx"
ln -s /proc/self/fd "$LAB/dev/fd"
mount --move "$LAB/dev" /dev
cat > /etc/libvirt/qemu.conf <<END
namespaces = []
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
remember_owner = 0
stdio_handler = "file"
END
/usr/sbin/libvirtd -d -p "$LAB/libvirtd.pid" -f /dev/null
for _ in $(seq 300); do virsh version > /dev/null 2>&1 && break; sleep 0.1; done
cat > "$LAB/machine.xml" <<END
<domain type='qemu'>
  <name>lab1</name><uuid>5a0c3d9e-6f3a-4f0e-9d51-0a4c6d1e7b21</uuid>
  <memory unit='MiB'>96</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><kernel>$2</kernel><initrd>$3</initrd>
    <cmdline>console=ttyS0 quiet panic=-1</cmdline></os>
  <features><acpi/></features><cpu mode='custom'><model>qemu64</model></cpu>
  <on_reboot>restart</on_reboot><on_crash>preserve</on_crash>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='$LAB/console.log'/></serial><memballoon model='none'/>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk></devices>
</domain>
END
virsh define "$LAB/machine.xml" > /dev/null
set +e
echo "= 0"
while read -r line; do
  eval "$line"
  echo "= $?"
done
