// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// Addresses, networks, and who a request is from that came by proxies.
@Suite struct AddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::7", "2001:db8::7"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("1:0:0:0:0:0:0:8", "1::8"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("::FFFF:c000:201", "192.0.2.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ("fe80::1%eth0", "fe80::1"), ("1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"),
    ])
    func anAddressIsReadAndWritten(_ text: String, _ expected: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.text == expected)
        #expect(IPAddress(address.text) == address)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.-4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4%eth0",
        "1.2..4", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "[::1]", "::1%", "/tmp/socket", "localhost",
        "1:2:3:4:5:6:7:192.0.2.1", "::٣", "1.2.3.٤", "0x1.2.3.4", "::1::", "1:2:3:4:5:6:7:8::",
    ])
    func whatIsNoAddressIsNone(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test(arguments: [
        ("192.0.2.0/24", "192.0.2.255", true), ("192.0.2.0/24", "192.0.3.0", false),
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false), ("192.0.2.1", "11.192.0.2", false),
        ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false), ("::/0", "::1", true), ("::/0", "8.8.8.8", false),
        ("10.0.0.0/8", "::ffff:10.9.8.7", true), ("::ffff:10.0.0.0/104", "10.9.8.7", true),
        ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::", false),
        ("2001:db8:0:1::/64", "2001:db8:0:1:ffff::", true), ("2001:db8:0:1::/64", "2001:db8:0:2::", false),
        ("2001:db8::8/125", "2001:db8::f", true), ("2001:db8::8/125", "2001:db8::10", false),
        ("2001:db8::1/128", "2001:db8::1", true), ("128.0.0.0/1", "127.255.255.255", false),
        ("192.0.2.1", "not an address", false), ("192.0.2.0/24", "/tmp/socket", false),
    ])
    func aNetworkHoldsItsAddresses(_ network: String, _ address: String, _ holds: Bool) throws {
        let set = try AddressSet([network])
        #expect(set.contains(address) == holds)
    }

    @Test(arguments: [
        "", "/", "1.2.3.4/", "/8", "1.2.3.4/33", "::/129", "1.2.3.4/08", "1.2.3.4/-1", "1.2.3.4/8", "1.2.3.0/24/24",
        "::ffff:10.0.0.0/8", "fe80::1%eth0", "1.2.3.4/ 8", "1.*.*.*", "2001:db8::1/64",
    ])
    func whatIsNoNetworkIsRefused(_ text: String) {
        #expect(AddressNetwork(text) == nil)
        #expect(throws: WireError.self) { try AddressSet([text]) }
    }

    @Test func aSetForgetsWhatIsRemoved() throws {
        var set = try AddressSet(["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/48", "10.1.2.3"])
        let known = try #require(AddressNetwork("10.1.2.3/32"))
        let isNew = set.insert(known)
        #expect(set.count == 4 && !isNew)
        let wide = try #require(AddressNetwork("10.0.0.0/8"))
        let removals = [set.remove(wide), set.remove(wide)]
        #expect(removals == [true, false])
        #expect(set.contains("10.1.9.9") && !set.contains("10.2.0.0"))
        #expect(set.all.map(\.text).sorted() == ["10.1.0.0/16", "10.1.2.3", "2001:db8::/48"])
        for network in set.all { set.remove(network) }
        #expect(set == AddressSet() && set.isEmpty)
    }

    // MARK: forwarded

    private static func client(
        _ lines: [String], _ header: ForwardedHeader = .xForwardedFor, peer: String = "10.0.0.1"
    ) throws -> String? {
        let name = header == .forwarded ? "Forwarded: " : "X-Forwarded-For: "
        let head = "GET / HTTP/1.1\r\n" + lines.map { name + $0 + "\r\n" }.joined() + "\r\n"
        var decoder = UpgradeDecoder()
        guard case .request(let request, _) = try decoder.decode(Bytes(head.utf8).span) else { return "no request" }
        let proxies = try AddressSet(["10.0.0.0/8", "2001:db8:f::/48"])
        guard
            let found = request.client(
                behind: try #require(IPAddress(peer)), trusting: proxies, by: header)
        else { return nil }
        return found.port == 0 ? found.address.text : "\(found.address.text) \(found.port)"
    }

    @Test(arguments: [
        (["192.0.2.7"], "192.0.2.7"), (["192.0.2.7:80"], "192.0.2.7 80"), (["[2001:db8::1]:80"], "2001:db8::1 80"),
        (["2001:db8::1"], "2001:db8::1"), (["1.1.1.1, 192.0.2.7"], "192.0.2.7"),
        (["1.1.1.1", "192.0.2.7"], "192.0.2.7"),
        (["1.1.1.1, 192.0.2.7, 10.2.2.2"], "192.0.2.7"), (["1.1.1.1,\t192.0.2.7 ,10.2.2.2, 10.3.3.3"], "192.0.2.7"),
        (["10.2.2.2, 10.3.3.3"], "10.2.2.2"), (["1.1.1.1, nonsense, 10.3.3.3"], "10.3.3.3"),
        (["::ffff:192.0.2.7"], "192.0.2.7"), (["1.1.1.1, 192.0.2.7, "], "192.0.2.7"),
    ])
    func theNearestThatIsNoProxyIsTheClient(_ lines: [String], _ expected: String) throws {
        #expect(try Self.client(lines) == expected)
    }

    @Test(arguments: [
        [], [""], ["unknown"], ["nonsense"], ["1.1.1.1, unknown"], ["1.1.1.1, _hidden"], ["1.1.1.1 2.2.2.2"],
        ["1.1.1.1;2.2.2.2"], ["[1.1.1.1]"], ["[::1"], ["999.1.1.1"],
    ])
    func whoIsNotNamedIsNobody(_ lines: [String]) throws { #expect(try Self.client(lines) == nil) }

    @Test func whoIsNotTrustedIsNotBelieved() throws {
        #expect(try Self.client(["192.0.2.7"], peer: "192.0.2.66") == nil)
        #expect(try Self.client(["for=192.0.2.7"], .forwarded, peer: "11.0.0.1") == nil)
        #expect(try Self.client(["192.0.2.7"], .none) == nil)
    }

    @Test(arguments: [
        (["for=192.0.2.7"], "192.0.2.7"), (["For=\"192.0.2.7:80\";proto=https;by=10.0.0.1"], "192.0.2.7 80"),
        (["for=1.1.1.1, for=\"[2001:db8::1]:4711\""], "2001:db8::1 4711"),
        (["for=1.1.1.1;host=\"a,for=6.6.6.6;b\", for=192.0.2.7;host=\"x\\\",for=6.6.6.6\""], "192.0.2.7"),
        (["proto=http; for=192.0.2.7, for=10.9.9.9"], "192.0.2.7"), (["for=1.1.1.1", "for=192.0.2.7"], "192.0.2.7"),
    ])
    func theStandardHeaderIsReadToo(_ lines: [String], _ expected: String) throws {
        #expect(try Self.client(lines, .forwarded) == expected)
    }

    @Test(arguments: [
        ["for=unknown"], ["by=192.0.2.7"], ["192.0.2.7"], ["for=1.1.1.1;for=2.2.2.2"], ["for=1.1.1.1, by=10.0.0.1"],
        ["for=\"1.1.1.1"], ["for="],
    ])
    func whatNamesNobodyThereIsNobody(_ lines: [String]) throws { #expect(try Self.client(lines, .forwarded) == nil) }
}
