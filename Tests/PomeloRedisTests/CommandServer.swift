// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloUV

/// A listener that reads commands, and answers each as the test says; what the test leaves to it as a server would.
@Loop final class CommandServer {
    /// One connection.
    @Loop final class Peer: ByteStreamDelegate {
        private let server: CommandServer
        fileprivate let stream: any ByteStream
        private var unread: [UInt8] = []
        private(set) var isOpen = true

        fileprivate init(_ server: CommandServer, _ stream: any ByteStream) {
            self.server = server
            self.stream = stream
        }

        func say(_ text: String) { if isOpen, !text.isEmpty { stream.write(Array(text.utf8)) } }

        func close() {
            isOpen = false
            stream.close()
        }

        /// The last word leaves together with the end.
        func end(saying text: String) {
            say(text)
            isOpen = false
            stream.closeAfterFlush(within: .seconds(1))
        }

        func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
            for index in bytes.indices { unread.append(bytes[index]) }
            var text = ""
            while let words = CommandServer.command(&unread) {
                server.commands.append(words)
                text += server.answer(words, self) ?? server.usual(words, self)
            }
            say(text)
        }
        func streamDidDrain(_ stream: any ByteStream) {}
        func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { isOpen = false }
    }

    /// In the protocol's form; nil leaves it to the server, and an empty text is silence.
    var answer: @Loop ([String], Peer) -> String? = { _, _ in nil }
    private(set) var peers: [Peer] = []
    fileprivate(set) var commands: [[String]] = []
    private var subscribers: [String: [Peer]] = [:]
    private let mode: String
    private var listener: (any StreamListener)?

    private init(_ mode: String) { self.mode = mode }

    /// At 127.0.0.1, or at every address of this machine; `mode` is what INFO tells.
    static func start(
        _ mode: String = "standalone", at host: String = "127.0.0.1",
        over secured: @escaping @Loop (any ByteStream) -> any ByteStream = { $0 }
    ) async throws -> CommandServer {
        let server = CommandServer(mode)
        server.listener = try await UVNetwork().listen(on: SocketAddress(host: host, port: 0)) { [weak server] raw in
            guard let server else { return raw.close() }
            let stream = secured(raw)
            let peer = Peer(server, stream)
            server.peers.append(peer)
            stream.delegate = peer
        }
        return server
    }

    var port: Int { listener?.localAddress.port ?? 0 }
    var place: SocketAddress { SocketAddress(host: "127.0.0.1", port: port) }
    var openPeers: Int { peers.count { $0.isOpen } }

    /// How often a command of this name has come.
    func count(_ name: String) -> Int { commands.count { $0.first == name } }

    func close() {
        listener?.close()
        for peer in peers { peer.close() }
    }

    private func usual(_ words: [String], _ peer: Peer) -> String {
        switch words[0] {
        case "PUBLISH":
            let readers = subscribers[words[1]] ?? []
            for reader in readers { reader.say(Self.message(words[1], words[2])) }
            return ":\(readers.count)\r\n"
        case "PING": return "+PONG\r\n"
        case "ROLE": return "*3\r\n" + Self.bulk(mode == "sentinel" ? "sentinel" : "master") + ":0\r\n*0\r\n"
        case "INFO": return Self.bulk("redis_version:7.0.15\r\nredis_mode:\(mode)\r\nrun_id:run\(port)\r\n")
        case "SUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "SUNSUBSCRIBE":
            if words[0] == "SUBSCRIBE" { subscribers[words[1], default: []].append(peer) }
            return Self.confirmed(words[0], words.count > 1 ? words[1] : "")
        case "EXEC": return "*2\r\n+OK\r\n+OK\r\n"
        default: return "+OK\r\n"
        }
    }

    // MARK: the protocol

    static func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }

    /// What a change of a subscription is answered.
    static func confirmed(_ command: String, _ channel: String) -> String {
        "*3\r\n" + bulk(command.lowercased()) + bulk(channel) + ":1\r\n"
    }

    static func message(_ channel: String, _ text: String, kind: String = "message") -> String {
        "*3\r\n" + bulk(kind) + bulk(channel) + bulk(text)
    }

    /// What CLUSTER SLOTS answers when these share the slots.
    static func slots(_ places: [SocketAddress]) -> String {
        let ranges = places.enumerated().map { index, place in
            let (first, last) = (16_384 * index / places.count, 16_384 * (index + 1) / places.count - 1)
            return "*3\r\n:\(first)\r\n:\(last)\r\n*3\r\n" + bulk(place.host) + ":\(place.port)\r\n"
                + bulk("id\(index)")
        }
        return "*\(places.count)\r\n" + ranges.joined()
    }

    /// Takes the first whole command from the bytes.
    private static func command(_ bytes: inout [UInt8]) -> [String]? {
        var at = 0
        func number() -> Int? {
            guard let end = bytes[at...].firstIndex(of: 13), end + 1 < bytes.count else { return nil }
            defer { at = end + 2 }
            return Int(String(decoding: bytes[(at + 1)..<end], as: UTF8.self))
        }
        guard let count = number() else { return nil }
        var words: [String] = []
        while words.count < count {
            guard at < bytes.count, let length = number(), at + length + 2 <= bytes.count else { return nil }
            words.append(String(decoding: bytes[at..<(at + length)], as: UTF8.self))
            at += length + 2
        }
        bytes.removeFirst(at)
        return words
    }
}

/// What a server answers by, and a test changes meanwhile.
@Loop final class Current<Value> {
    var value: Value

    init(_ value: Value) { self.value = value }
}
