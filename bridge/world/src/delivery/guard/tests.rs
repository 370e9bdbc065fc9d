use super::*;

fn guard(rules: &[&str]) -> Guard {
    let allow = rules.iter().map(|rule| rule.parse().expect("rule")).collect();
    Guard::new(GuardSettings { allow })
}

#[track_caller]
fn refused(guard: &Guard, url: &str) -> String {
    guard.check_url(url).expect_err(url).to_string()
}

#[test]
fn nothing_is_allowed_without_rules() {
    let guard = guard(&[]);
    for url in ["http://example.org/", "https://sim1.example.org:12043/cap/x", "http://93.184.216.34/"] {
        let words = refused(&guard, url);
        assert!(words.contains("not on the allow-list"), "{words}");
    }
}

#[test]
fn a_refusal_names_the_line_that_would_allow_it_and_that_line_does() {
    let first = guard(&[]);
    for url in
        ["http://sim1.example.org:12046/cap/0", "http://10.1.2.3:9000/lslhttp/0/", "http://[fd00::1]:9000/"]
    {
        let line = match first.check_url(url) {
            Err(GuardRefusal::NotAllowed { line, .. } | GuardRefusal::Special { line, .. }) => line,
            other => panic!("{url}: {other:?}"),
        };
        guard(&[&line]).check_url(url).expect("the suggested line allows it");
    }
}

#[test]
fn rules_name_hosts_and_ports_and_nothing_more() {
    let guard = guard(&["*.agni.example.org:12046", "grid.example.org", "10.0.0.0/8:9000", "127.0.0.1:*"]);
    for url in [
        "http://sim1.agni.example.org:12046/cap/0",
        "HTTP://SIM1.Agni.Example.ORG:12046/cap/0",
        "http://grid.example.org/x",
        "https://grid.example.org/x",
        "http://10.200.0.1:9000/lslhttp/0/",
        "http://127.0.0.1:31337/",
        "http://[::ffff:127.0.0.1]:31337/",
    ] {
        guard.check_url(url).expect(url);
    }
    for url in [
        "http://agni.example.org:12046/cap/0",
        "http://evilagni.example.org:12046/cap/0",
        "http://sim1.agni.example.org:12047/cap/0",
        "http://sim1.agni.example.org.evil.net:12046/cap/0",
        "http://grid.example.org:8080/x",
        "http://10.200.0.1:9001/",
        "http://11.0.0.1:9000/",
        "http://127.0.0.2:31337/",
        "http://[::1]:31337/",
    ] {
        refused(&guard, url);
    }
}

#[test]
fn odd_spellings_of_an_address_are_refused_even_where_everything_is_allowed() {
    let guard = guard(&[
        "127.0.0.0/8:*",
        "localhost:*",
        "*.org:*",
        "*.com:*",
        "::1:*".replace("::1", "[::1]").as_str(),
    ]);
    for url in [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0X7F.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.01/",
        "http://127.0.0.1./",
        "http://1.2.3.256/",
        "http://localhost./",
        "http://user@localhost/",
        "http://good.org:80@127.0.0.1/",
        "http://good.org\\@127.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://loc%61lhost/",
        "http://ex ample.org/",
        "http://例え.org/",
        "http://１２７.0.0.1/",
        "http://good.org#@127.0.0.1/",
        "http:///x",
        "http://:80/",
        "http://good.org:/",
        "http://good.org:0/",
        "http://good.org:65536/",
        "http://good.org:+80/",
        "http://good..org/",
        "http://-good.org/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[127.0.0.1]/",
        "ftp://good.org/",
        "//good.org/",
        "good.org",
        "",
        "http://good.org/\r\nX: y",
    ] {
        let refusal = guard.check_url(url).expect_err(url);
        assert!(matches!(refusal, GuardRefusal::Malformed(_)), "{url}: {refusal}");
    }
}

#[test]
fn special_addresses_need_a_rule_that_names_them() {
    let everything = guard(&["0.0.0.0/0:*", "[::]/0:*"]);
    everything.check_url("http://93.184.216.34/").expect("public");
    everything.check_url("http://[2606:2800:220:1::1]/").expect("public");
    for host in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "[::]",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:1::]",
        "[fd00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
    ] {
        let refusal = everything.check_url(&format!("http://{host}/")).expect_err(host);
        assert!(matches!(refusal, GuardRefusal::Special { .. }), "{host}: {refusal}");
    }
    // A rule for the network is enough, except for the services that hand out credentials.
    let local = guard(&["169.254.0.0/16", "192.168.0.0/16", "[fd00::]/8"]);
    local.check_url("http://169.254.1.1/").expect("named");
    local.check_url("http://192.168.1.1/").expect("named");
    local.check_url("http://[fd00::1]/").expect("named");
    refused(&local, "http://169.254.169.254/latest/meta-data/");
    refused(&local, "http://[fd00:ec2::254]/");
    guard(&["169.254.169.254"]).check_url("http://169.254.169.254/").expect("named alone");
}

#[test]
fn a_name_that_resolves_to_a_special_address_needs_an_address_rule_too() {
    let names = guard(&["sim.example.org:9000"]);
    let callback = names.check_url("http://sim.example.org:9000/lslhttp/0/").expect("name rule");
    let key = &callback.origin.key;
    names.check_address(key, "93.184.216.34".parse().unwrap()).expect("public");
    for address in ["127.0.0.1", "10.0.0.9", "::ffff:192.168.0.1", "fd00::1", "169.254.169.254"] {
        names.check_address(key, address.parse().unwrap()).expect_err(address);
    }
    let both = guard(&["sim.example.org:9000", "10.0.0.0/8:9000"]);
    both.check_address(key, "10.0.0.9".parse().unwrap()).expect("named");
    both.check_address(key, "127.0.0.1".parse().unwrap()).expect_err("not named");
}

#[test]
fn the_path_is_never_shown() {
    let guard = guard(&["sim.example.org"]);
    let callback = guard.check_url("http://sim.example.org/cap/5ec4e7?token=5ec4e7").expect("allowed");
    let refusal = refused(&guard, "http://other.example.org/cap/5ec4e7");
    for shown in [format!("{callback}"), format!("{callback:?}"), refusal] {
        assert!(!shown.contains("5ec4e7"), "{shown}");
    }
    assert_eq!(callback.target.to_string(), "/cap/5ec4e7?token=5ec4e7");
}

#[test]
fn callbacks_of_one_server_share_it_and_unused_servers_are_dropped() {
    let guard = guard(&["*.example.org"]);
    let first = guard.check_url("http://a.example.org/1").expect("allowed");
    let second = guard.check_url("http://A.example.org:80/2").expect("allowed");
    assert!(Arc::ptr_eq(&first.origin, &second.origin));
    for n in 0..2_000 {
        guard.check_url(&format!("http://h{n}.example.org/")).expect("allowed");
    }
    assert!(guard.shared.origins.lock().known.len() <= 512);
}

#[test]
fn rules_read_back_as_written_and_mistakes_are_named() {
    for rule in [
        "example.org",
        "example.org:8080",
        "*.example.org:*",
        "10.0.0.0/8:9000",
        "127.0.0.1:*",
        "[::1]:9000",
        "[fd00::]/8",
    ] {
        assert_eq!(rule.parse::<AllowRule>().expect(rule).to_string(), rule);
    }
    for rule in [
        "",
        "*",
        "*:80",
        "http://example.org",
        "example.org:0",
        "example.org:http",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "*.10.0.0.1",
        "127.1",
        "a b",
    ] {
        let words = rule.parse::<AllowRule>().expect_err(rule).to_string();
        assert!(words.contains(rule), "{words}");
    }
}
