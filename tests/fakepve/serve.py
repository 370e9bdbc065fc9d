"""fakepve for Primrack's tests: a fake of Proxmox VE with API tokens of different rights, which its own
command line cannot make. Runs in the Python environment `pve` of `cargo xtask python`.

    serve.py CERTIFICATE KEY PORT MACHINES

Ends with its standard input, so with the test in any case.
"""

import asyncio
import sys

from fakepve import shapes
from fakepve.server import FakePve

SECRET = "11111111-2222-4333-8444-555555555555"


async def main(certificate, key, port, machines):
    pve = FakePve(host="127.0.0.1", port=int(port))
    # Tasks take their time, twenty times as fast as they would.
    pve.time_scale = 0.05
    pve.add_node("pve1")
    pve.add_node("pve2")
    for number in range(int(machines)):
        vm = pve.add_vm(100 + number, f"web-{number}", node="pve1", config={"tags": "web;test"})
        vm.shutdown_secs = 4
        vm.start_secs = 2
    pve.add_ct(9000, "box", node="pve2", config={"hostname": "box", "tags": "web"})
    pve.vm(100).pool = "front"
    pve.pools["front"] = {100}
    pve.acl = {
        "primrack@pve!bridge": [("/", set(shapes.PRIVILEGES))],
        "primrack@pve!one": [("/vms/100", {"VM.Audit"})],
    }
    for name in ("bridge", "one", "blind"):
        pve.apitokens[f"primrack@pve!{name}"] = SECRET
    await pve.start(certificate, key)
    print(f"READY {pve.host}:{pve.port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
