<?php
// The stand-in that the recordings beside this file were made with: PHP's own SOAP server, a WSDL file of openQRM's
// tree of March 2010 (not in this tree: its licence is another), and answers as that tree's source gives them.
//
//     php stand-in.php cloudadmin.wdsl '{"1": 1, "4": 0}' < question.xml > answer.xml
//
// The second argument is which appliances there are, and whether each is active.
ini_set("soap.wsdl_cache_enabled", "0");

class StandIn
{
    private function arguments($text, $count)
    {
        $all = explode(",", $text);
        $known = count($all) == $count && array_slice($all, 0, 3) == ["admin", "primrack", "secret"];
        return $known ? array_slice($all, 3) : null;
    }
    public function CloudApplianceGetList($text)
    {
        global $appliances;
        return $this->arguments($text, 4) ? array_map("strval", array_keys($appliances)) : null;
    }
    public function CloudApplianceGetDetails($text)
    {
        global $appliances;
        $arguments = $this->arguments($text, 4);
        if (!$arguments) {
            return null;
        }
        $active = $appliances[$arguments[0]] ?? null;
        $details = [
            "appliance_name" => "cloud-1-{$arguments[0]}-x", "appliance_state" => $active ? "active" : "stopped",
            "appliance_comment" => "Requested by user <web> & co", "resource_id" => $active ? "3" : "-1",
            "resource_type" => "TYPE=kvm-vm", "resource_int_ip" => "192.168.88.23", "resource_uptime" => "1040",
            "resource_cpumodel" => "QEMU Virtual CPU version 0.9.1", "resource_cpunumber" => "1",
            "resource_cpuspeed" => "2394", "resource_load" => "0.07", "resource_memtotal" => "249",
            "resource_memused" => "61", "resource_swaptotal" => "0", "resource_swapused" => "0",
            "image_name" => "lenny.x86_64.cloud", "disk_size" => "5000", "kernel_name" => "default",
            "cloud_appliance_state" => (string) $active, "cloud_appliance_cr_id" => "1",
            "cloud_appliance_ip" => "10.20.30.40",
        ];
        if ($active === null) {
            $details = array_fill_keys(array_keys($details), null);
        }
        return ["id" => $arguments[0]] + $details;
    }
    public function CloudApplianceCommand($text)
    {
        global $appliances;
        $arguments = $this->arguments($text, 5);
        if (!$arguments) {
            return 1;
        }
        $wanted = ["start" => 0, "stop" => 1, "restart" => 1][$arguments[1]] ?? null;
        return $appliances[$arguments[0]] === $wanted ? 0 : 1;
    }
}

$appliances = json_decode($argv[2], true);
$server = new SoapServer($argv[1]);
$server->setClass("StandIn");
$server->handle(file_get_contents("php://stdin"));
