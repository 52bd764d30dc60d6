// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloDeflate
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers

@testable import PomeloConnectors

/// Plays the client's side of a recording to our connector, over the kernel's sockets, and the application's side too;
/// keeps what each server said.
@Loop final class SocketReplay {
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
        var origin = ""
    }

    private struct Side {
        var packets: [[String]] = []
        var polls: [Int: SocketReply] = [:]
        var answers: [Int: SocketReply] = [:]
        var sids: [String?] = []

        func said(_ heard: [String]) -> SocketSaid {
            SocketSaid(
                packets: packets.flatMap { $0 }, polls: polls.sorted { $0.key < $1.key }.map(\.value),
                answers: answers.sorted { $0.key < $1.key }.map(\.value), heard: heard)
        }
    }

    private let recording: SocketRecording
    var name: String { recording.name }
    var revision: SocketIORevision { recording.revision }
    private let network = UVNetwork()
    private let host = FakeHost()
    private let connector: SocketIOConnector
    private var dialogues: [Int: Dialogue] = [:]
    private var theirSide = Side()
    private var ourSide = Side()
    private var asked = 0
    private var isPlaying = false
    private var spoken: [String] = []

    var theirs: SocketSaid { theirSide.said(spoken) }
    var ours: SocketSaid {
        ourSide.said(host.messages.map { "\($0.id) \($0.route.text) \(String(decoding: $0.body, as: UTF8.self))" })
    }

    init(_ recording: SocketRecording) {
        self.recording = recording
        var options = SocketIOOptions()
        // Time stands still: the recorded server's signs of life are sent when it sent them.
        recording.times?.set(&options)
        options.origins = ["*"]
        options.limits.handshakeTimeout = .seconds(60)
        if recording.offersPollingOnly { options.transports = ["polling"] }
        if recording.isCompressed {
            options.limits.compression.isOn = true
            options.limits.compression.minBytes = 0
            options.limits.compression.keepsClientContext = true
        }
        connector = SocketIOConnector(options)
        host.echoing = false
    }

    func run() async throws {
        let context = ConnectorContext(
            network: network, clock: ManualClock(), random: RandomSource(seed: 1),
            address: SocketAddress(host: "127.0.0.1", port: 0))
        try await connector.start(host, context)
        isPlaying = true
        let probe = Wire(try await connect())
        for place in recording.lines.indices where recording.lines[place].conn != nil {
            try await play(place)
            try await collect(after: probe)
        }
        try await drain(probe)
        for dialogue in dialogues.values { dialogue.wire?.stream.close() }
        probe.stream.close()
        await connector.stop()
    }

    /// What the other server said, without a server of ours.
    static func reading(_ recording: SocketRecording) async throws -> SocketSaid {
        let replay = SocketReplay(recording)
        for place in recording.lines.indices { try await replay.play(place) }
        return replay.theirs
    }

    private func play(_ place: Int) async throws {
        let line = recording.lines[place]
        guard let number = line.conn else { return }
        let dialogue = dialogues[number] ?? Dialogue()
        dialogues[number] = dialogue
        let bytes = line.hex.map { Bytes(hex: $0) } ?? []
        switch (line.dir, line.kind) {
        case ("c2s", "http-request"):
            if recording.isForgotten(before: place) { forget() }
            try await request(RecordedHTTP(bytes), over: dialogue)
        case ("c2s", "ws-text"): webSocket(.text, bytes, line.wire.map { Bytes(hex: $0) }, over: dialogue)
        case ("c2s", "ws-close"): webSocket(.close, bytes, over: dialogue)
        case ("close", _): dialogue.wire?.stream.close()
        case ("s2c", "http-response"): answered(RecordedHTTP(bytes), over: dialogue)
        case ("s2c", "ws-text"): dialogue.session.map { said(String(decoding: bytes, as: UTF8.self), to: $0) }
        case ("s2c", "ws-close"): dialogue.session.map { keep("close " + (line.hex ?? ""), to: $0, \.theirSide) }
        default: return
        }
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
        if method == "POST" { hear(http.packets(recording.revision, recording.clientCounting)) }
        var text = http.head
        if !begins, let session, let old = theirSide.sids[session], let new = ourSide.sids[session] {
            text = text.replacing(old, with: new)
        }
        let kind = target.contains("disconnect=") ? "leave" : method
        let one = Asked(number: asked, kind: kind, session: session, origin: http.header("origin") ?? "")
        asked += 1
        dialogue.theirs.append(one)
        dialogue.ours.append(one)
        if isPlaying, dialogue.wire?.hasEnded ?? true { dialogue.wire = Wire(try await connect()) }
        dialogue.wire?.stream.write(Bytes(text.utf8) + http.body)
    }

    /// What was compressed on the wire goes as it was there.
    private func webSocket(
        _ opcode: WebSocketOpcode, _ bytes: Bytes, _ compressed: Bytes? = nil, over dialogue: Dialogue
    ) {
        if opcode == .text { hear([String(decoding: bytes, as: UTF8.self)]) }
        dialogue.wire?.stream.write(
            WebSocketFrame.encode(
                opcode, compressed ?? bytes, maskKey: 0x1F2E_3D4C, final: true, compressed: compressed != nil))
    }

    private func hear(_ packets: [String]) { spoken += packets.compactMap(SocketSaying.heard) }

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
        } else if ["2::", "2"].contains(packet) || packet == "6" && recording.isScripted {
            client.send(Bytes(packet.utf8))
        } else if let messages = SocketSaying.told(packet), let message = messages.first {
            switch message {
            case .response(let id, let body) where messages.count == 1: client.respond(id: id, body: body)
            case .push(let route, let body) where messages.count == 1:
                if let push = try? PushMessage(route: route, body: body) { client.push(push) }
            case .kick where messages.count == 1: client.send(message.packet(recording.revision))
            default: client.send(SocketIOMessage.batch(messages, recording.revision))
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
        // What came over several connections meanwhile has no order; here WebSockets are first.
        let all = dialogues.sorted { $0.key < $1.key }.map(\.value)
        for dialogue in all where dialogue.frames != nil { collect(dialogue) }
        for dialogue in all where dialogue.frames == nil { collect(dialogue) }
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
                dialogue.frames = WebSocketDecoder(
                    maxMessageBytes: 1 << 20, expectsMask: false, allowsCompressed: recording.isCompressed)
            }
        }
        guard dialogue.frames != nil, let session = dialogue.session else { return }
        let bytes = wire.take()
        _ = try? dialogue.frames?.decode(bytes.span) { event, _ in
            switch event {
            case .message(text: true, let packet):
                keep(String(decoding: packet, as: UTF8.self), to: session, \.ourSide)
            case .compressed(text: true, let packet):
                let whole = try? Inflater(.raw).inflate(packet.span, limit: 1 << 20)
                keep(whole.map { String(decoding: $0, as: UTF8.self) } ?? "not deflated", to: session, \.ourSide)
            case .close(let code, _):
                let hex = code.map { "0" + String($0, radix: 16) } ?? ""
                keep("close " + hex, to: session, \.ourSide)
            default: keep("\(event)", to: session, \.ourSide)
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
                dialogue.ours = [Asked(number: asked, kind: "drain", session: session)]
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
        var reply = SocketReply(http, to: one.kind)
        reply.origin = one.origin
        let isPoll = (one.kind == "GET" || one.kind == "drain") && http.words[1] == "200"
        let parts = reply.body.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        if isPoll, recording.revision == .one, parts.count == 4, parts[3].contains("polling"), let session = one.session
        {
            self[keyPath: side].sids[session] = parts[0]
            reply.body = (["<sid>"] + parts.dropFirst()).joined(separator: ":")
        } else if isPoll {
            let packets = http.packets(recording.revision, side == \.theirSide ? recording.counting : .due)
            reply.brings(packets, recording.revision)
            if one.kind == "GET" { self[keyPath: side].polls[one.number] = reply }
            return packets
        }
        self[keyPath: side].answers[one.number] = reply
        return []
    }

    private func keep(_ packet: String, to session: Int, _ side: ReferenceWritableKeyPath<SocketReplay, Side>) {
        if packet.hasPrefix("0{") {
            let open = try? JSON.parse(Bytes(packet.utf8.dropFirst()))
            self[keyPath: side].sids[session] = open?["sid"]?.string
        }
        self[keyPath: side].packets[session].append(SocketReply.unnamed(packet))
    }
}
