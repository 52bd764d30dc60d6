// SPDX-License-Identifier: MIT
public import PomeloBytes

/// One client's session over polling and WebSocket: the pure state of it, for all three generations.
///
/// ```
///             poll                2probe, 5
///   new ───────────▶ polling ◀──▶ probing ───────────▶ webSocket
///    │                 │  close        │                   │
///    │ WebSocket       ▼               ▼                   ▼
///    └────────────▶ closing ───────▶ closed ◀──────────────┘
/// ```
///
/// The owner numbers the HTTP requests and WebSockets that concern this session, tells what happens to them, and does
/// in order what the returned actions say. Packets to send wait here while there is no poll to answer; on the WebSocket
/// nothing waits, so an owner may as well write frames itself while ``webSocket`` is not nil.
///
/// - Guarantee: each request gets one answer, unless its connection closes before; packets reach the client in order
///   and once, over given up polls and the upgrade, as long as the owner reports truly what was written.
/// - Source: the Engine.IO protocol 3 and 4; engine.io 6.6, lib/socket.ts; socket.io 0.9.6; transcripts of clients.
public struct EngineIOSession: Sendable {
    /// The owner's number of a request or of a WebSocket; one series for both.
    public typealias Number = UInt64

    /// What the owner is to do.
    public enum Action: Equatable, Sendable {
        /// Answer a poll: 200 with this payload.
        case answer(Number, EngineIOPayload)
        /// Answer a POST: 200 `ok` (`1` in 0.9).
        case accept(Number)
        /// Answer a request, or one that asks for a WebSocket, with this error.
        case refuse(Number, EngineIOError)
        /// Write one text frame.
        case send(Number, Bytes)
        /// Write a close frame behind what was sent, and close the connection.
        case closeWebSocket(Number)
        /// Take what the client said.
        case receive(SocketIOPacket)
        /// Forget the session; nothing comes after this.
        case end(EndReason)
    }

    /// Why a session ended.
    public enum EndReason: String, Sendable, CaseIterable {
        /// The client said so.
        case clientClosed
        /// Its WebSocket closed.
        case transportClosed
        /// ``close(now:)``, and the client knows or did not come back for it.
        case serverClosed
        /// No sign of life in time.
        case silent
        /// A client of 0.9 did not poll again in time.
        case absent
        /// Two polls or two POSTs at once.
        case overlap
        /// It broke the protocol.
        case malformed
    }

    /// Times in nanoseconds, and bounds.
    public struct Options: Equatable, Sendable {
        /// How often to ask for a sign of life, or to await one; nil for never (`heartbeats: false`).
        public var pingInterval: UInt64? = 25_000_000_000
        /// How long to wait for it; in 0.9 how long a client may be silent altogether.
        public var pingTimeout: UInt64 = 20_000_000_000
        /// How long an upgrade may take.
        public var upgradeTimeout: UInt64 = 10_000_000_000
        /// How long to wait for a poll that fetches the end, and in 0.9 for any poll.
        public var closeTimeout: UInt64 = 60_000_000_000
        /// When a poll of 0.9 is answered with nothing.
        public var pollDuration: UInt64 = 20_000_000_000
        /// The most packets accepted in one POST.
        public var maxPacketsPerPost = 1024

        /// Creates the defaults of Engine.IO 4.
        public init() {}
    }

    enum Stage: Equatable, Sendable {
        case new
        case polling
        /// A second transport asks to take over; `isProbed` once it has proved that it works.
        case probing(Number, isProbed: Bool, until: UInt64)
        case webSocket(Number)
        /// The end waits for a poll to fetch it.
        case closing(until: UInt64)
        case closed
    }

    struct Packet: Sendable {
        let bytes: Bytes
        /// What it is about, when it may be left out; nil when it must not be.
        let topic: Text?
    }

    struct Poll: Sendable {
        let number: Number
        let since: UInt64
    }

    /// The revision of the client.
    public let revision: SocketIORevision
    /// The times and bounds.
    public let options: Options
    var stage = Stage.new
    var poll: Poll?
    var post: Number?
    /// The last answer to a poll, while it has not been written.
    var unwritten: (number: Number, packets: [Packet])?
    var queue: [Packet] = []
    var decoder: EngineIOPayloadDecoder
    var noops = 0
    var heardAt: UInt64
    var pingSentAt: UInt64?
    var pingDueAt: UInt64?
    var absentSince: UInt64

    /// The number of packets that wait for a poll.
    public var queuedPackets: Int { queue.count }
    /// The size of the packets that wait for a poll, in bytes.
    public internal(set) var queuedBytes = 0

    /// Creates a session that has no transport yet.
    ///
    /// - Parameters:
    ///   - revision: the revision of the client.
    ///   - options: times and bounds.
    ///   - greeting: the packets that go out first: the open packet, and `40` in version 3; `1::` in 0.9.
    ///   - now: the time, in nanoseconds of any clock that does not go back; so in all calls.
    public init(_ revision: SocketIORevision, options: Options = Options(), greeting: [Bytes], now: UInt64) {
        self.revision = revision
        self.options = options
        decoder = EngineIOPayloadDecoder(revision, maxPackets: options.maxPacketsPerPost)
        heardAt = now
        absentSince = now
        if revision != .four, let interval = options.pingInterval { pingDueAt = now &+ interval }
        for packet in greeting { enqueue(packet) }
    }

    /// The WebSocket that is the transport, or nil.
    public var webSocket: Number? {
        if case .webSocket(let number) = stage { return number }
        return nil
    }

    /// Whether the session has ended.
    public var isClosed: Bool { stage == .closed }
    /// Whether the session waits for the client to fetch its end.
    public var isClosing: Bool {
        if case .closing = stage { return true }
        return false
    }
}

extension EngineIOSession {
    /// Sends one whole packet, which must be text; nothing happens once the session is closing.
    ///
    /// One that is about something may be left out by ``drop(topic:)`` and ``dropOldest(downTo:)``.
    public mutating func send(_ packet: Bytes, topic: Text? = nil, now: UInt64) -> [Action] {
        if isClosed || isClosing { return [] }
        if case .webSocket(let number) = stage { return [.send(number, packet)] }
        enqueue(packet, topic: topic)
        var actions: [Action] = []
        flush(&actions, now)
        return actions
    }

    /// Ends the session from this side, behind what was sent.
    ///
    /// The WebSocket is closed at once; in polling the end waits for a poll, as long as the options say. Put
    /// ``SocketIOPacket/disconnected(_:)`` before it, so that the client knows that it is to stay away.
    public mutating func close(now: UInt64) -> [Action] {
        var actions: [Action] = []
        switch stage {
        case .closed, .closing: return []
        case .new: finish(.serverClosed, &actions)
        case .webSocket: finish(.serverClosed, &actions)
        case .probing(let number, _, _):
            actions.append(.closeWebSocket(number))
            beginClosing(&actions, now)
        case .polling: beginClosing(&actions, now)
        }
        return actions
    }

    mutating func enqueue(_ packet: Bytes, topic: Text? = nil) {
        queue.append(Packet(bytes: packet, topic: topic))
        queuedBytes &+= packet.count
    }

    private mutating func beginClosing(_ actions: inout [Action], _ now: UInt64) {
        stage = .closing(until: now &+ options.closeTimeout)
        if revision != .one { enqueue(EngineIOPacket.close) }
        flush(&actions, now)
    }
}
