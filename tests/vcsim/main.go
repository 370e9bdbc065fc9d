// vcsim for Primrack's tests: VMware's own simulator (govmomi, Debian's package) with the certificate,
// the user and the number of machines that a test wants.
//
// Two things are added to the library's. RebootGuest, which it lacks, is carried out as ResetVM_Task. And
// /test/storm?vm=NAME&n=COUNT writes a machine's power state that many times, as the backend of an event storm.
package main

import (
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	machines := flag.Int("machines", 2, "machines per resource pool")
	certificate := flag.String("certificate", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	flag.Parse()

	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	log.SetOutput(io.Discard)
	model := simulator.VPX()
	model.Machine = *machines
	model.Autostart = false
	if err := model.Create(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer model.Remove()
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	model.Service.Listen = &url.URL{Host: *listen, User: url.UserPassword("primrack", "secret of the test")}
	server := model.Service.NewServer()
	defer server.Close()
	inner := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/test/storm":
			storm(w, r)
		case "/sdk":
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			body = bytes.ReplaceAll(body, []byte("<RebootGuest "), []byte("<ResetVM_Task "))
			body = bytes.ReplaceAll(body, []byte("</RebootGuest>"), []byte("</ResetVM_Task>"))
			r.Body = io.NopCloser(bytes.NewReader(body))
			inner.ServeHTTP(w, r)
		default:
			inner.ServeHTTP(w, r)
		}
	})
	fmt.Printf("READY %s\n", server.URL.Host)
	// Ends with the test: its standard input is a pipe that the test holds.
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func storm(w http.ResponseWriter, r *http.Request) {
	count, _ := strconv.Atoi(r.URL.Query().Get("n"))
	for _, entity := range simulator.Map.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		if vm.Name != r.URL.Query().Get("vm") {
			continue
		}
		states := []types.VirtualMachinePowerState{"poweredOff", "poweredOn"}
		for n := 0; n < count; n++ {
			simulator.Map.WithLock(mo.Reference(vm), func() {
				simulator.Map.Update(vm, []types.PropertyChange{{Name: "runtime.powerState", Val: states[n%2]}})
			})
		}
		return
	}
	w.WriteHeader(http.StatusNotFound)
}
