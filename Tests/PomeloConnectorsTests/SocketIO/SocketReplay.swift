// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloUV
import PomeloWire
import TestHelpers

@testable import PomeloConnectors

/// Plays the client's side of a recording to our connector, over the kernel's sockets, and the application's side too;
/// keeps what each server said.
@Loop final class SocketReplay {
    /// What is determined of what a server said, and of what its application heard.
    struct Said: Equatable {
        /// Packets, session by session, but for signs of life and empty answers, which have their times.
        var packets: [String] = []
        /// Answers in the order of their requests, but for polls that were answered with packets.
        var answers: [String] = []
        var messages = 0
    }

    /// One connection of the client: whose requests wait for an answer of theirs, and of ours, the next one first.
    private final class Dialogue {
        var wire: Wire?
        var theirs: [Asked] = []
        var ours: [Asked] = []
        /// Whose WebSocket it has become.
        var session: Int?
        var frames: WebSocketDecoder?
    }

    private struct Asked {
        let number: Int
        /// The method, or that it says goodbye.
        let kind: String
        let session: Int?
    }

    private struct Side {
        var packets: [[String]] = []
        var answers: [Int: String] = [:]
        var sids: [String?] = []

        func said(messages: Int) -> Said {
            let order = answers.sorted { $0.key < $1.key }
            return Said(packets: packets.flatMap { $0 }, answers: order.map(\.value), messages: messages)
        }
    }

    private let recording: SocketRecording
    var name: String { recording.name }
    private let network = UVNetwork()
    private let host = FakeHost()
    private let connector: SocketIOConnector
    private var dialogues: [Int: Dialogue] = [:]
    private var theirSide = Side()
    private var ourSide = Side()
    private var asked = 0
    private var spoken = 0

    var theirs: Said { theirSide.said(messages: spoken) }
    var ours: Said { ourSide.said(messages: host.messages.count) }

    init(_ recording: SocketRecording) {
        self.recording = recording
        var options = SocketIOOptions()
        // The recorded server's signs of life are sent when it sent them.
        options.heartbeats = false
        options.origins = ["*"]
        options.limits.handshakeTimeout = .seconds(60)
        if recording.offersPollingOnly { options.transports = ["polling"] }
        connector = SocketIOConnector(options)
        host.echoing = false
    }

    func run() async throws {
        try await connector.start(host, suiteContext(network))
        let probe = Wire(try await connect())
        for (place, line) in recording.lines.enumerated() {
            guard let number = line.conn else { continue }
            let dialogue = dialogues[number] ?? Dialogue()
            dialogues[number] = dialogue
            let bytes = line.hex.map { Bytes(hex: $0) } ?? []
            switch (line.dir, line.kind) {
            case ("c2s", "http-request"):
                if recording.isForgotten(before: place) { forget() }
                try await request(RecordedHTTP(bytes), over: dialogue)
            case ("c2s", "ws-text"): webSocket(.text, bytes, over: dialogue)
            case ("c2s", "ws-close"): webSocket(.close, bytes, over: dialogue)
            case ("close", _): dialogue.wire?.stream.close()
            case ("s2c", "http-response"): answered(RecordedHTTP(bytes), over: dialogue)
            case ("s2c", "ws-text"): dialogue.session.map { said(String(decoding: bytes, as: UTF8.self), to: $0) }
            default: continue
            }
            try await collect(after: probe)
        }
        try await drain(probe)
        for dialogue in dialogues.values { dialogue.wire?.stream.close() }
        probe.stream.close()
        await connector.stop()
    }

    private func connect() async throws -> any ByteStream {
        let address = connector.localAddress ?? SocketAddress(host: "127.0.0.1", port: 1)
        return try await network.connect(to: address, within: .seconds(20))
    }

    private func client(_ session: Int) -> SocketIOClient? {
        ourSide.sids[session].flatMap { (connector.service as? SocketIOProtocol)?.session($0) }
    }

    /// Ours forgets its sessions when theirs did.
    private func forget() {
        for session in ourSide.sids.indices { client(session)?.stop() }
    }

    // MARK: the client

    private func request(_ http: RecordedHTTP, over dialogue: Dialogue) async throws {
        guard http.words.count == 3, http.words[1].hasPrefix("/socket.io/") else { return }
        let (method, target) = (String(http.words[0]), String(http.words[1]))
        var session = theirSide.sids.lastIndex { $0.map { target.contains($0) } ?? false }
        let begins = method == "GET" && !target.contains("sid=") && !(session != nil || target.contains("/1/w"))
        if begins {
            session = theirSide.sids.count
            for side in [\SocketReplay.theirSide, \.ourSide] {
                self[keyPath: side].sids.append(nil)
                self[keyPath: side].packets.append([])
            }
        }
        if method == "POST" { count(http.packets(recording.revision)) }
        var text = http.head
        if !begins, let session, let old = theirSide.sids[session], let new = ourSide.sids[session] {
            text = text.replacing(old, with: new)
        }
        let kind = target.contains("disconnect=") ? "leave" : method
        let one = Asked(number: asked, kind: kind, session: session)
        asked += 1
        dialogue.theirs.append(one)
        dialogue.ours.append(one)
        if dialogue.wire?.hasEnded ?? true { dialogue.wire = Wire(try await connect()) }
        dialogue.wire?.stream.write(Bytes(text.utf8) + http.body)
    }

    private func webSocket(_ opcode: WebSocketOpcode, _ bytes: Bytes, over dialogue: Dialogue) {
        if opcode == .text { count([String(decoding: bytes, as: UTF8.self)]) }
        dialogue.wire?.stream.write(WebSocketFrame.encode(opcode, bytes, maskKey: 0x1F2E_3D4C))
    }

    private func count(_ packets: [String]) {
        spoken += packets.count { $0.hasPrefix("42[\"message\"") || $0.hasPrefix("3:::") }
    }

    // MARK: the other server

    private func answered(_ http: RecordedHTTP, over dialogue: Dialogue) {
        guard !dialogue.theirs.isEmpty else { return }
        let one = dialogue.theirs.removeFirst()
        for packet in keep(http, to: one, \.theirSide) {
            if let session = one.session { said(packet, to: session) }
        }
        if http.words[1] == "101" { dialogue.session = one.session }
    }

    /// The application says the same to our client.
    private func said(_ packet: String, to session: Int) {
        keep(packet, to: session, \.theirSide)
        guard let client = client(session) else { return }
        if ["41", "0::", "1"].contains(packet) {
            client.close(kick: nil)
        } else if ["2::", "6"].contains(packet) || packet == "2" && recording.revision == .five {
            client.send(Bytes(packet.utf8))
        } else if let message = Self.message(packet) {
            if let id = message["id"]?.int {
                client.respond(id: UInt32(id), body: message["body"]?.encoded() ?? [])
            } else if let route = message["route"]?.string, let body = message["body"]?.encoded(),
                let push = try? PushMessage(route: route, body: body)
            {
                client.push(push)
            } else {
                client.send(Bytes(packet.utf8))
            }
        } else if ["42", "3:::", "4:::", "5:::"].contains(where: packet.hasPrefix) {
            client.send(Bytes(packet.utf8))
        }
    }

    // MARK: ours

    /// Two round trips: whatever was written before them has been read, and so has what was written because of it.
    private func collect(after probe: Wire) async throws {
        for _ in 0..<2 {
            probe.stream.write(Bytes("OPTIONS /socket.io/ HTTP/1.1\r\nHost: test\r\n\r\n".utf8))
            var isAnswered = false
            try await probe.wait {
                isAnswered = isAnswered || probe.takeHTTP() != nil
                return isAnswered
            }
        }
        for dialogue in dialogues.values { collect(dialogue) }
    }

    private func collect(_ dialogue: Dialogue) {
        guard let wire = dialogue.wire else { return }
        while dialogue.frames == nil, !dialogue.ours.isEmpty, let http = wire.takeHTTP() {
            let one = dialogue.ours.removeFirst()
            for packet in keep(http, to: one, \.ourSide) {
                if let session = one.session { keep(packet, to: session, \.ourSide) }
            }
            if http.words[1] == "101" {
                dialogue.session = one.session
                dialogue.frames = WebSocketDecoder(maxMessageBytes: 1 << 20, expectsMask: false)
            }
        }
        guard dialogue.frames != nil, let session = dialogue.session else { return }
        let bytes = wire.take()
        _ = try? dialogue.frames?.decode(bytes.span) { event, _ in
            if case .message(_, let packet) = event {
                keep(String(decoding: packet, as: UTF8.self), to: session, \.ourSide)
            }
            return true
        }
    }

    /// What waits at the end for the polls of who has polled is fetched.
    private func drain(_ probe: Wire) async throws {
        for session in ourSide.sids.indices {
            while let client = client(session), client.hasEntered || recording.revision == .five,
                client.state.webSocket == nil, client.state.queuedPackets > 0
            {
                let dialogue = Dialogue()
                dialogue.wire = Wire(try await connect())
                dialogue.ours = [Asked(number: asked, kind: "GET", session: session)]
                asked += 1
                let path = Session(revision: recording.revision, sid: client.sid).path
                dialogue.wire?.stream.write(Bytes("GET \(path) HTTP/1.1\r\nHost: test\r\n\r\n".utf8))
                dialogues[-asked] = dialogue
                try await collect(after: probe)
            }
        }
    }

    // MARK: what is kept

    /// Keeps an answer, and returns its packets if it brings some.
    private func keep(_ http: RecordedHTTP, to one: Asked, _ side: ReferenceWritableKeyPath<SocketReplay, Side>)
        -> [String]
    {
        let status = String(http.words[1])
        var answer = "\(one.kind) \(status)"
        let text = String(decoding: http.body, as: UTF8.self)
        if one.kind == "GET", status == "200" {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard recording.revision == .one, parts.count == 4, parts[3].contains("polling"), let session = one.session
            else { return http.packets(recording.revision, side == \.theirSide ? recording.counting : .due) }
            self[keyPath: side].sids[session] = String(parts[0])
            answer += " " + parts[3]
        }
        self[keyPath: side].answers[one.number] = answer
        return []
    }

    private func keep(_ packet: String, to session: Int, _ side: ReferenceWritableKeyPath<SocketReplay, Side>) {
        var words = packet
        if packet.hasPrefix("0{") {
            let open = try? JSON.parse(Bytes(packet.utf8.dropFirst()))
            self[keyPath: side].sids[session] = open?["sid"]?.string
            words = "0 " + String(decoding: open?["upgrades"]?.encoded() ?? [], as: UTF8.self)
        } else if packet.hasPrefix("40{") {
            words = "40"
        } else if let message = Self.message(packet) {
            words = "message " + String(decoding: message.encoded(), as: UTF8.self)
        }
        if ["", "6", "8::", "2::"].contains(words) || words == "2" && recording.revision == .five { return }
        self[keyPath: side].packets[session].append(words)
    }

    /// What pomelo says in a packet, if it is that.
    private static func message(_ packet: String) -> JSON? {
        if packet.hasPrefix("3:::") { return try? JSON.parse(Bytes(packet.utf8.dropFirst(4))) }
        guard packet.hasPrefix("42[\"message\""), let event = try? JSON.parse(Bytes(packet.utf8.dropFirst(2))) else {
            return nil
        }
        return event.array?.last?.string.flatMap { try? JSON.parse(Bytes($0.utf8)) }
    }
}

extension SocketRecording {
    /// Whether a handshake names nothing but polling.
    fileprivate var offersPollingOnly: Bool {
        lines.contains { line in
            guard line.kind == "http-response", let hex = line.hex else { return false }
            let body = String(decoding: RecordedHTTP(Bytes(hex: hex)).body, as: UTF8.self)
            return body.hasSuffix(":xhr-polling") || body.contains("\"upgrades\":[]")
        }
    }
}
