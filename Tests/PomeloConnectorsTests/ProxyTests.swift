// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Whom proxies speak for is believed of those who are trusted, and of nobody else.
@Suite struct ProxyTests {
    private static let proxy = "10.0.0.1"
    private static let header = Bytes("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n".utf8)
    private static let binary: Bytes =
        [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 19]
        + [192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB, 1, 0, 4, 1, 2, 3, 4]
    /// Of a proxy that speaks for itself.
    private static let local = Bytes(binary[..<12]) + [0x20, 0x00, 0, 0]

    private static func options(
        _ proxyProtocol: ProxyProtocol = .required, _ change: (inout ClientLimits) -> Void = { _ in }
    ) -> HybridOptions {
        var options = HybridOptions()
        options.limits.access.trustedProxies = ["10.0.0.0/8", "2001:db8:f::/48"]
        options.limits.access.proxyProtocol = proxyProtocol
        change(&options.limits)
        return options
    }

    private static func upgrade(_ lines: String...) -> Bytes {
        Bytes(Sample.upgrade.dropLast(2)) + Bytes((lines + [""]).joined(separator: "\r\n").utf8) + Bytes("\r\n".utf8)
    }

    @Loop private func address(_ wired: Wired) -> String? { wired.host.session.map { "\($0.address)" } }

    // MARK: in front of the connection

    @Test(arguments: [header, binary]) @Loop func theSessionHasTheAddressOfTheClient(_ header: Bytes) throws {
        let bytes = header + Sample.handshake + Sample.ack + Sample.echo1
        for split in 0...bytes.count {
            let wired = try Wired(Self.options(), peer: Self.proxy)
            wired.stream.feed(Bytes(bytes[..<split]))
            wired.stream.feed(Bytes(bytes[split...]))
            #expect(address(wired) == "192.0.2.7:56324", "split at \(split)")
            #expect(wired.host.messages.count == 1)
            #expect(wired.port.statistics.faults.isEmpty)
        }
    }

    @Test @Loop func aWebSocketBehindAHeaderIsServed() throws {
        let wired = try Wired(Self.options(), peer: Self.proxy)
        wired.stream.feed(Self.header)
        wired.workInFrames()
        wired.stream.feed(Sample.frame(Sample.echo1))
        #expect(address(wired) == "192.0.2.7:56324" && wired.host.messages.count == 1)
    }

    @Test @Loop func aProxyThatSpeaksForItselfHasItsOwnAddress() throws {
        for header in [Self.local, Bytes("PROXY UNKNOWN\r\n".utf8)] {
            let wired = try Wired(Self.options(), peer: Self.proxy)
            wired.stream.feed(header)
            wired.work()
            #expect(address(wired) == "10.0.0.1:1")
        }
    }

    @Test(arguments: [header, binary, Bytes(header[..<4]), Bytes(binary[..<4])])
    @Loop func whoIsNoProxyIsNotBelieved(_ header: Bytes) throws {
        for kind in [ProxyProtocol.required, .optional] {
            let wired = try Wired(Self.options(kind))
            for byte in header { wired.stream.feed([byte]) }
            #expect(wired.fault(.notSpoken) == 1)
            #expect(wired.stream.closing != nil && wired.host.sessions.isEmpty && wired.host.ends.isEmpty)
        }
    }

    @Test @Loop func aSecondHeaderIsTheClientsAndNotBelieved() throws {
        let wired = try Wired(Self.options(), peer: Self.proxy)
        wired.stream.feed(Self.header + Bytes("PROXY TCP4 6.6.6.6 198.51.100.1 1 2\r\n".utf8))
        #expect(wired.fault(.notSpoken) == 1 && wired.host.ends.isEmpty)
    }

    @Test @Loop func whoIsNoProxyIsServedByHimself() throws {
        let wired = try Wired(Self.options())
        wired.work()
        #expect(address(wired) == "192.0.2.1:1")
    }

    @Test @Loop func aProxyMustSayItWhereThatIsRequired() throws {
        let required = try Wired(Self.options(), peer: Self.proxy)
        required.stream.feed(Sample.handshake)
        #expect(required.fault(.notSpoken) == 1)
        let optional = try Wired(Self.options(.optional), peer: Self.proxy)
        for byte in Sample.handshake + Sample.ack { optional.stream.feed([byte]) }
        #expect(address(optional) == "10.0.0.1:1" && optional.port.statistics.faults.isEmpty)
        let broken = try Wired(Self.options(.optional), peer: Self.proxy)
        broken.stream.feed(Bytes("PROXY TCP4 nonsense\r\n".utf8))
        #expect(broken.fault(.notSpoken) == 1)
    }

    @Test @Loop func aHeaderThatDoesNotComeIsWaitedForAsLongAsAHandshake() throws {
        let wired = try Wired(Self.options(), peer: Self.proxy)
        wired.stream.feed(Bytes("PROXY TCP4 ".utf8))
        wired.clock.advance(by: .seconds(10))
        #expect(wired.fault(.handshakeTimeout) == 1)
        wired.stream.end()
        #expect(wired.port.statistics.open == 0 && wired.clock.pendingTimers == 0)
    }

    /// Without trusted proxies nothing is different from a port that knows of no headers.
    @Test @Loop func whereNoneIsConfiguredAHeaderIsNoPackage() throws {
        let wired = try Wired()
        wired.stream.feed(Self.header)
        #expect(wired.fault(.badPackage) == 1)
        #expect(throws: PomeloError.self) {
            var rules = AccessRules()
            rules.proxyProtocol = .optional
            _ = try Doorkeeper(rules, Blacklist())
        }
    }

    // MARK: in a request

    @Test(arguments: [
        ("10.0.0.1", ["X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.1.1"], "192.0.2.7:0"),
        ("10.0.0.1", ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.7:99"], "192.0.2.7:99"),
        ("2001:db8:f::1", ["X-Forwarded-For: 2001:db8::7"], "[2001:db8::7]:0"),
        ("192.0.2.1", ["X-Forwarded-For: 6.6.6.6"], "192.0.2.1:1"),
        ("10.0.0.1", ["Forwarded: for=6.6.6.6"], "10.0.0.1:1"),
        ("10.0.0.1", ["Forwarded: for=6.6.6.6", "X-Forwarded-For: 192.0.2.7"], "192.0.2.7:0"),
        ("10.0.0.1", ["X-Forwarded-For: unknown"], "10.0.0.1:1"),
    ])
    @Loop func aRequestOfATrustedProxyNamesItsClient(
        _ peer: String, _ lines: [String], _ expected: String
    ) throws {
        let wired = try Wired(Self.options(.off), peer: peer)
        wired.stream.feed(
            Bytes(Sample.upgrade.dropLast(2)) + Bytes((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
                + Sample.frame(Sample.handshake))
        #expect(address(wired) == expected)
    }

    @Test @Loop func theStandardHeaderIsBelievedWhereItIsChosen() throws {
        let wired = try Wired(
            Self.options(.off) { $0.access.forwardedHeader = .forwarded }, peer: Self.proxy)
        wired.stream.feed(Self.upgrade("X-Forwarded-For: 6.6.6.6", "Forwarded: for=192.0.2.7"))
        #expect(address(wired) == "192.0.2.7:0")
        let none = try Wired(Self.options(.off) { $0.access.forwardedHeader = .none }, peer: Self.proxy)
        none.stream.feed(Self.upgrade("X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6"))
        #expect(address(none) == "10.0.0.1:1")
    }

    /// A client behind a proxy of bytes writes what it likes into its request.
    @Test @Loop func whoIsNamedInFrontOfTheConnectionIsNoProxyForItsRequest() throws {
        let wired = try Wired(Self.options(), peer: Self.proxy)
        wired.stream.feed(Self.header + Self.upgrade("X-Forwarded-For: 6.6.6.6"))
        #expect(address(wired) == "192.0.2.7:56324")
    }

    @Test @Loop func requestsOfOneConnectionMayBeOfManyClients() async throws {
        var options = SocketIOOptions()
        options.limits.access.trustedProxies = [Self.proxy]
        let wired = try SocketIOWired(options)
        let line = wired.line(from: Self.proxy)
        for client in ["192.0.2.7", "192.0.2.8"] {
            line.send("GET", "/socket.io/1/", ["X-Forwarded-For: \(client)"])
            let sid = try #require(line.answers().last?.text.split(separator: ":").first)
            line.send("GET", "/socket.io/1/xhr-polling/\(sid)", ["X-Forwarded-For: \(client)"])
            _ = try line.answers()
        }
        #expect(wired.host.sessions.values.map(\.address.host).sorted() == ["192.0.2.7", "192.0.2.8"])
    }

    // MARK: limits

    @Test @Loop func whoHasNoHandshakeCountsAtTheClientsAddress() throws {
        let wired = try Wired(Self.options { $0.maxPendingPerAddress = 2 }, accepts: false)
        func come(_ client: String) -> ScriptedStream {
            let stream = ScriptedStream(from: Self.proxy)
            wired.port.accept(stream)
            stream.feed(Bytes("PROXY TCP4 \(client) 198.51.100.1 1 2\r\n".utf8))
            return stream
        }
        let silent = (0..<8).map { _ in
            let stream = ScriptedStream(from: Self.proxy)
            wired.port.accept(stream)
            return stream
        }
        let flood = (0..<5).map { _ in come("198.51.100.9") }
        let others = (0..<5).map { come("192.0.2.\($0)") }
        #expect(flood.map { $0.closing == nil } == [false, false, false, true, true])
        #expect((silent + others).allSatisfy { $0.closing == nil }, "a proxy itself has no such limit")
        #expect(wired.fault(.crowdedOut) == 3 && wired.port.statistics.pending == 15)
        for stream in silent + flood + others { stream.end() }
        #expect(wired.port.statistics.pending == 0 && wired.port.statistics.open == 0)
    }

    @Test @Loop func theFileSaysThemAll() throws {
        let json = try JSON.parse(
            Bytes(
                """
                {"trustedProxies": ["10.0.0.0/8", "::1"], "proxyProtocol": "optional", "forwardedHeader": "forwarded",
                 "blacklist": "192.0.2.0/24"}
                """.utf8))
        let access = try HybridOptions(OptionReader(json, file: "connector.json")).limits.access
        #expect(access.trustedProxies == ["10.0.0.0/8", "::1"] && access.blacklist == ["192.0.2.0/24"])
        #expect(access.proxyProtocol == .optional && access.forwardedHeader == .forwarded)
        for wrong in ["10.0.0.1/8", "proxy.example", "10.*"] {
            for key in ["trustedProxies", "blacklist"] {
                #expect(throws: PomeloError.self) {
                    try HybridOptions(OptionReader([key: [.string(wrong)]], file: "connector.json"))
                }
            }
        }
    }
}
