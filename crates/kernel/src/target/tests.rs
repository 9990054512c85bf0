use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// Every closed range by its first and last address, written out apart from the table of the code.
const RANGES: [(&str, &str); 30] = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
    ("::", "::ffff:ffff"),
    ("::ffff:10.0.0.0", "::ffff:10.255.255.255"),
    ("::ffff:0:0:0", "::ffff:0:ffff:ffff"),
    ("64:ff9b::", "64:ff9b::ffff:ffff"),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    ("100::", "100::ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> Host {
    Host::Name(text.into())
}

fn is_closed(address: IpAddr) -> bool {
    Policy::default().judge(&name("a.example"), address) == Verdict::Refused
}

fn neighbor(address: IpAddr, step: i8) -> Option<IpAddr> {
    let moved = |bits: u128| bits.checked_add_signed(step.into());
    match address {
        IpAddr::V4(v4) => moved(u128::from(v4.to_bits()))
            .and_then(|bits| u32::try_from(bits).ok())
            .map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(v6) => moved(v6.to_bits()).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

fn is_listed(address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (4, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (6, v6.to_bits()),
    };
    RANGES.iter().any(|(first, last)| (bits(ip(first))..=bits(ip(last))).contains(&bits(address)))
}

#[test]
fn each_range_is_closed_from_its_first_address_to_its_last_and_not_beyond() {
    for (first, last) in RANGES {
        assert!(is_closed(ip(first)), "{first}");
        assert!(is_closed(ip(last)), "{last}");
        for beside in [neighbor(ip(first), -1), neighbor(ip(last), 1)].into_iter().flatten() {
            assert_eq!(is_closed(beside), is_listed(beside), "{beside}, beside {first} to {last}");
        }
    }
    for open in ["1.1.1.1", "172.32.0.0", "::ffff:8.8.8.8", "2606:4700::1111", "2001:200::1", "64:ff9b:2::1"] {
        assert!(!is_closed(ip(open)), "{open}");
    }
    assert_eq!(CLOSED.len(), RANGES.len() - 1, "IPv4-mapped addresses need no range of their own");
}

#[test]
fn a_host_is_read_as_browsers_read_it() {
    let addresses = [
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.0.0.0x8", "127.0.0.8"),
        ("4294967295", "255.255.255.255"),
        ("0xffffffff", "255.255.255.255"),
        ("0x", "0.0.0.0"),
        ("0", "0.0.0.0"),
        ("256", "0.0.1.0"),
        ("1.0x.0.1", "1.0.0.1"),
        ("1.65536", "1.1.0.0"),
        ("1.16777215", "1.255.255.255"),
        ("1.2.65535", "1.2.255.255"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ("[::127.0.0.1]", "::7f00:1"),
        ("[0:0:0:0:0:ffff:7f00:1]", "::ffff:7f00:1"),
        ("[64:ff9b::7f00:1]", "64:ff9b::7f00:1"),
    ];
    for (text, address) in addresses {
        assert_eq!(Host::parse(text), Some(Host::Address(ip(address))), "{text}");
    }
    let none = [
        "",
        ".",
        "..",
        "4294967296",
        "0x100000000",
        "99999999999999999999999",
        "256.1.1.1",
        "1.2.3.4.5",
        "a.1",
        "a.0x1f",
        "0x100.1",
        "127.0.0.08",
        "09.1",
        "a.09",
        "a.0x",
        "1..1",
        ".1",
        "1.16777216",
        "1.2.65536",
        "1.256.1",
        "a.b.c.256",
        "1.2.3.4..",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[::1",
        "::1]",
        "[]",
        "exa mple",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "bücher.example",
        "a..b",
        "example.com.",
        "+1",
        "a\tb",
        "a\\b",
        "*",
    ];
    for text in none {
        assert_eq!(Host::parse(text), None, "{text}");
    }
    for text in
        ["1.2.3.a", "0b1", "1e3", "1_0", "1.2.3.4x", "a.0xg", "a_b.example", "-a.example", "xn--bcher-kva.example"]
    {
        assert_eq!(Host::parse(text), Some(name(text)), "{text}");
    }
    assert_eq!(Host::parse("EXAMPLE.com"), Some(name("example.com")));
    assert_eq!(Host::parse(&"a".repeat(64)), None);
    assert_eq!(Host::parse(&vec!["a".repeat(50); 5].join(".")), None);
}

#[test]
fn a_url_is_https_at_443_without_user_and_fragment() {
    let check = |url: &str| check(url, &Policy::default());
    let target = check("https://Hooks.Example/in?a=%20b").unwrap();
    assert_eq!((target.is_tls, target.port, &*target.path), (true, 443, "/in?a=%20b"));
    assert_eq!((target.host.clone(), target.authority()), (name("hooks.example"), "hooks.example".to_owned()));
    assert_eq!(check("HTTPS://a.example").unwrap().path, "/");
    assert_eq!(check("https://a.example?b").unwrap().path, "/?b");
    assert_eq!(check("https://a.example:443/").unwrap().authority(), "a.example");
    assert_eq!(check("https://a.example:/").unwrap().port, 443);
    assert_eq!(check("https://[2606:4700::1111]/").unwrap().authority(), "[2606:4700::1111]");
    let refused = [
        ("http://a.example/", Refusal::Scheme),
        ("ftp://a.example/", Refusal::Scheme),
        ("https:a.example", Refusal::Scheme),
        (" https://a.example", Refusal::Scheme),
        ("file:///etc/passwd", Refusal::Scheme),
        ("a.example", Refusal::Scheme),
        ("", Refusal::Scheme),
        ("https://a.example/#b", Refusal::Fragment),
        ("https://u@a.example/", Refusal::UserInfo),
        ("https://u:p@a.example/", Refusal::UserInfo),
        ("https://public.example@127.0.0.1/", Refusal::UserInfo),
        ("https://a.example/ ", Refusal::Character),
        ("https://a.example/\u{e4}", Refusal::Character),
        ("https://a.example/%4", Refusal::Character),
        ("https://a.example/\\b", Refusal::Character),
        ("https://a.example/\r\nHost: b", Refusal::Character),
        ("https://a.example\\@b.example/", Refusal::UserInfo),
        ("https://a.example\\b", Refusal::Host),
        ("https:///a.example", Refusal::Host),
        ("https://", Refusal::Host),
        ("https://:443/", Refusal::Host),
        ("https://[::1]a/", Refusal::Host),
        ("https://a.example:8443/", Refusal::Port),
        ("https://a.example:80/", Refusal::Port),
        ("https://a.example:65536/", Refusal::Port),
        ("https://a.example:4x/", Refusal::Port),
        ("https://a.example:443:443/", Refusal::Port),
        ("https://10.0.0.1/", Refusal::Address),
        ("https://0x7f.1/", Refusal::Address),
        ("https://2852039166/latest/meta-data/", Refusal::Address),
        ("https://[::ffff:169.254.169.254]/", Refusal::Address),
        ("https://localhost/", Refusal::Address),
        ("https://a.localhost/", Refusal::Address),
    ];
    for (url, refusal) in refused {
        assert_eq!(check(url), Err(refusal), "{url}");
    }
    let long = format!("https://a.example/{}", "b".repeat(MAX_URL - 18));
    assert!(check(&long).is_ok());
    assert_eq!(check(&format!("{long}b")), Err(Refusal::Length));
}

#[test]
fn what_operators_opened_is_reached_at_every_port_and_nothing_beside_it() {
    let opened = ["hooks.internal", "127.0.0.1", "10.1.0.0/16", "fd00::/8"].map(|text| text.parse().unwrap());
    let policy = Policy::new(opened.to_vec(), vec![8443]);
    for url in
        ["https://hooks.internal:9000/", "https://127.0.0.1:9000/", "https://[fd00::1]:9/", "https://a.example:8443/"]
    {
        assert!(check(url, &policy).is_ok(), "{url}");
    }
    assert_eq!(check("https://127.0.0.2:8443/", &policy), Err(Refusal::Address));
    assert_eq!(check("https://a.hooks.internal:9000/", &policy), Err(Refusal::Port));
    assert_eq!(check("http://127.0.0.1:9000/", &policy), Err(Refusal::Scheme));
    let sandbox = policy.clone().with_plain(true);
    let plain = check("http://127.0.0.1:9000/", &sandbox).unwrap();
    assert_eq!((plain.is_tls, plain.authority()), (false, "127.0.0.1:9000".to_owned()));
    assert_eq!(check("http://a.example/", &sandbox).unwrap().authority(), "a.example");
    assert_eq!(check("http://a.example:81/", &sandbox), Err(Refusal::Port));

    let judge = |host: &str, address: &str| policy.judge(&name(host), ip(address));
    assert_eq!(judge("hooks.internal", "192.168.0.1"), Verdict::Opened(&opened[0]));
    assert_eq!(judge("a.example", "192.168.0.1"), Verdict::Refused);
    assert_eq!(judge("a.example", "10.1.2.3"), Verdict::Opened(&opened[2]));
    assert_eq!(judge("a.example", "::ffff:10.1.2.3"), Verdict::Opened(&opened[2]));
    assert_eq!(judge("a.example", "10.2.0.0"), Verdict::Refused);
    assert_eq!(judge("hooks.internal", "8.8.8.8"), Verdict::Public);
}

#[test]
fn an_opening_is_a_host_an_address_or_a_network_but_never_everything() {
    for text in ["hooks.internal", "10.1.2.3", "10.0.0.0/8", "fd00::/8", "::1"] {
        assert_eq!(text.parse::<Opening>().unwrap().to_string(), text);
    }
    assert_eq!("0.0.0.0/0".parse::<Opening>(), Err(OpeningError::Network(CidrError::Everything)));
    assert_eq!("::/0".parse::<Opening>(), Err(OpeningError::Network(CidrError::Everything)));
    assert_eq!("127.1".parse::<Opening>(), Err(OpeningError::Network(CidrError::Address)));
    assert_eq!("https://a.example".parse::<Opening>(), Err(OpeningError::Network(CidrError::Address)));
    assert_eq!("*.internal".parse::<Opening>(), Err(OpeningError::Host));
    assert_eq!("".parse::<Opening>(), Err(OpeningError::Host));
}

fn written(bits: u32, before: usize, radices: [u8; 4]) -> String {
    let octets = bits.to_be_bytes();
    let last = bits & u32::MAX.checked_shr(8_u32.saturating_mul(u32::try_from(before).unwrap())).unwrap();
    let numbers = octets[..before].iter().map(|octet| u32::from(*octet)).chain([last]);
    let one = |(number, radix): (u32, u8)| match radix % 3 {
        0 => format!("{number}"),
        1 => format!("0{number:o}"),
        _ => format!("0x{number:X}"),
    };
    numbers.zip(radices).map(one).collect::<Vec<_>>().join(".")
}

proptest! {
    #[test]
    fn an_address_is_the_same_in_every_notation(bits: u32, before in 0..=3_usize, radices: [u8; 4]) {
        let address = IpAddr::V4(Ipv4Addr::from_bits(bits));
        prop_assert_eq!(Host::parse(&written(bits, before, radices)), Some(Host::Address(address)));
        let accepted = check(&format!("https://{}/", written(bits, before, radices)), &Policy::default());
        prop_assert_eq!(accepted.is_ok(), !is_listed(address));
    }

    #[test]
    fn an_address_is_closed_exactly_when_a_range_holds_it(
        bits: u128, range in 0..RANGES.len(), kept in 0..128_u32,
    ) {
        // beside random addresses those that share their first bits with a range
        let near = match ip(RANGES[range].0) {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let mask = u128::MAX.checked_shl(kept).unwrap_or(0);
        let address = IpAddr::V6(Ipv6Addr::from_bits((near & !mask.reverse_bits()) | (bits & mask.reverse_bits())));
        for address in [address, IpAddr::V6(Ipv6Addr::from_bits(bits)), address.to_canonical()] {
            prop_assert_eq!(is_closed(address), is_listed(address.to_canonical()), "{}", address);
        }
    }

    #[test]
    fn what_is_accepted_reads_the_same_again(url in "(https?|HTTPS)://[0-9a-zA-Z.:@\\[\\]x%\\\\ -]{0,24}[/?#a-z%. ]{0,8}") {
        let policy = Policy::new(vec![Opening::Network("127.0.0.0/8".parse().unwrap())], vec![8443]).with_plain(true);
        if let Ok(target) = check(&url, &policy) {
            let scheme = if target.is_tls { "https" } else { "http" };
            let again = format!("{scheme}://{}{}", target.authority(), target.path);
            prop_assert_eq!(check(&again, &policy), Ok(target));
        }
    }
}
