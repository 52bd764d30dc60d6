// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Connectors of one's own on a port with others: each client is served by whom it means.
@Loop @Suite struct PortSharingTests {
    private let host = FakeHost()
    private let context = suiteContext(UVNetwork())

    private nonisolated func codec(
        _ type: String, path: String = "", _ framing: Framing = .lines
    ) -> CodecConnector {
        var options = CodecConnector.Options()
        options.path = path
        options.framing = framing
        return CodecConnector(
            type: type, options, decode: .immediate { bytes, _ in DecodedMessage(route: "a.b.c", body: bytes) },
            encode: .immediate { $0.body })
    }

    private nonisolated static let orders: [[String]] = [
        ["/game", "/game/two"], ["/game/two", "/game"], ["/a", "/game", "/game/two"],
    ]

    @Test(arguments: orders) func theLongestPathIsServed(_ paths: [String]) async throws {
        let hybrid = HybridConnector(HybridOptions(heartbeat: nil))
        try await hybrid.start(host, context, with: paths.map { codec($0, path: $0) })
        let address = try #require(hybrid.localAddress)
        for path in ["/game", "/game/two", "/game/two/b", "/game/three"] {
            let wire = Wire(try await context.network.connect(to: address, within: .seconds(20)))
            let head = String(decoding: Sample.upgrade, as: UTF8.self).replacing("GET / ", with: "GET \(path) ")
            wire.stream.write(Bytes(head.utf8))
            let type = path.hasPrefix("/game/two") ? "/game/two" : "/game"
            try await eventually("\(path) is served") { host.session != nil }
            #expect(host.session?.socket.connectorType == type, "\(path)")
            wire.stream.close()
            try await eventually("\(path) has ended") { host.session == nil }
        }
        await hybrid.stop()
    }

    /// A connector with a path took the connections of the one beside it that has none.
    @Test(arguments: [false, true]) func bytesAreThoseOfWhoHasNoPath(_ isFirst: Bool) async throws {
        let (hybrid, other) = (HybridConnector(HybridOptions(heartbeat: nil)), codec("lines", path: "/game"))
        let (first, second): (PortConnector, PortConnector) = isFirst ? (hybrid, other) : (other, hybrid)
        try await first.start(host, context, with: [second])
        let address = try #require(hybrid.localAddress)
        let client = try await TestClient.connect(to: address, over: context.network, as: .tcp)
        try await client.handshake()
        #expect(try await client.request("a.b.c", ["x": 1]) == ["x": 1])
        #expect(host.session?.socket.connectorType == "hybrid")
        await first.stop()
        await second.stop()
    }

    @Test func whoCouldNeverBeReachedIsAnErrorAtTheStart() async throws {
        for (first, second, path) in [
            (HybridConnector() as PortConnector, codec("lines"), ""),
            (codec("a", path: "/x"), codec("b", path: "/x"), "/x"),
            (SocketIOConnector(), codec("lines", path: "/socket.io/"), "/socket.io/"),
        ] {
            let error = await #expect(throws: PomeloError.self) {
                try await first.start(host, context, with: [second])
            }
            #expect(error?.code == .configuration)
            #expect(error?.message == "\(first.type) and \(second.type) both take the path \"\(path)\" of port 0")
        }
    }

    /// A list of one connector would protect nobody where another's counts.
    @Test(arguments: [true, false]) func whoMayConnectIsSaidOnceForAPort(_ isFirst: Bool) async throws {
        var strict = MQTTOptions()
        strict.limits.access.blacklist = ["127.0.0.7"]
        let (first, second): (PortConnector, PortConnector) =
            isFirst ? (MQTTConnector(strict), HybridConnector()) : (HybridConnector(), MQTTConnector(strict))
        if isFirst {
            try await first.start(host, context, with: [second])
            await first.stop()
            return await second.stop()
        }
        let error = await #expect(throws: PomeloError.self) {
            try await first.start(host, context, with: [second])
        }
        #expect(error?.message.hasSuffix("mqtt is given others than hybrid, which counts") == true)
    }

    @Test(arguments: [-1, 0, 5, 8]) func aLengthThatCannotBeIsAnErrorAtTheStart(_ width: Int) async throws {
        let connector = codec("lengths", .lengthPrefixed(bytes: width))
        let error = await #expect(throws: PomeloError.self) { try await connector.start(host, context) }
        #expect(error?.code == .configuration)
        #expect(error?.message == "lengths: a length takes 1 to 4 bytes, not \(width)")
    }

    @Test func aPathBeginsWithASlash() async throws {
        let connector = codec("game", path: "game")
        let error = await #expect(throws: PomeloError.self) { try await connector.start(host, context) }
        #expect(error?.message == "game: the path \"game\" does not begin with a slash")
    }
}
