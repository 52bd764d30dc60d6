// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
public import PomeloTLS
import PomeloWire

/// How the socket.io connector treats its clients.
///
/// - Source: pomelo's tutorial and pomelo 2.2.7, lib/connectors/sioconnector.js (`transports`, `heartbeats`,
///   `closeTimeout`, `heartbeatTimeout`, `heartbeatInterval`); the limits are ours, the original has none.
public struct SocketIOOptions: Sendable {
    /// How clients may connect: `websocket`, and `polling` or `xhr-polling`, which are one.
    ///
    /// `htmlfile`, `jsonp-polling` and `flashsocket` are accepted and not offered.
    public var transports = ["websocket", "polling"]
    /// Whether clients are asked for signs of life.
    public var heartbeats = true
    /// How often they are asked, or ask.
    public var heartbeatInterval: Duration = .seconds(25)
    /// How long a sign of life may be missing before the client counts as gone.
    public var heartbeatTimeout: Duration = .seconds(60)
    /// How long a polling client may take to come back, and to fetch the end of its session.
    public var closeTimeout: Duration = .seconds(60)
    /// The origins of web pages that may connect, `https://game.example` for instance, or `*` for any.
    ///
    /// A page of the same host and port may always, and so may programs, which name no origin.
    public var origins: [String] = []
    /// Sessions without a WebSocket, all together; beyond it the oldest that has not entered ends, or who has been away
    /// for longest, and when all are there, who comes is refused.
    public var maxPollingSessions = 8192
    /// The same from one address, or one /64 network of IPv6.
    public var maxPollingSessionsPerAddress = 512
    /// What waits for the polls of all clients together, in bytes; beyond it those for whom most waits end.
    public var maxPollingBytes = 256 * 1024 * 1024
    /// What clients may cost.
    public var limits = ClientLimits()
    /// What is shown to clients, where an entry of servers.json says `tls`.
    public var tls: TLSServerOptions?

    /// Everything at its default.
    public init() {}

    /// A number of seconds below 1000, of milliseconds from there on: the tutorial counts in seconds, as socket.io 0.9
    /// does, and later templates in milliseconds.
    public static func time(_ number: Double) -> Duration { .milliseconds(number < 1000 ? number * 1000 : number) }
}

extension SocketIOOptions: FileOptions {
    /// `socketio.json`.
    public static var fileName: String { "socketio" }
    /// Where a key was said, for messages: options do not know whether it was the program.
    static func place(of key: String) -> String { "\(key) of socketio.json, or of the program's SocketIOOptions" }

    /// Reads the keys, all of them optional; `heartbeatInterval`, `heartbeatTimeout` and `closeTimeout` are numbers as
    /// `time` reads them.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        let named = try reader.strings("transports")
        transports = named.isEmpty ? transports : named
        heartbeats = try reader.bool("heartbeats") ?? heartbeats
        heartbeatInterval = try reader.number("heartbeatInterval", in: Self.times).map(Self.time) ?? heartbeatInterval
        heartbeatTimeout = try reader.number("heartbeatTimeout", in: Self.times).map(Self.time) ?? heartbeatTimeout
        closeTimeout = try reader.number("closeTimeout", in: Self.times).map(Self.time) ?? closeTimeout
        let listed = try reader.strings("origins")
        origins = listed.isEmpty ? origins : listed
        let count = 1...1 << 20
        maxPollingSessions = try reader.int("maxPollingSessions", in: count) ?? maxPollingSessions
        maxPollingSessionsPerAddress =
            try reader.int("maxPollingSessionsPerAddress", in: count) ?? maxPollingSessionsPerAddress
        maxPollingBytes = try reader.int("maxPollingBytes", in: 64...1 << 40) ?? maxPollingBytes
        try limits.read(&reader)
        tls = try TLSServerOptions.read(&reader) ?? tls
    }

    private static let times = 0.001...1e9
}

/// The options in the form in which they are needed.
struct SocketIORules: Sendable {
    private static let neverOffered = ["htmlfile", "jsonp-polling", "flashsocket"]

    let webSocket: Bool
    let polling: Bool
    /// Transports that were asked for and are not offered.
    let leftOut: [String]

    /// - Throws: `PomeloError` `.configuration` when nothing would be offered, or a name is unknown.
    init(_ options: SocketIOOptions) throws(PomeloError) {
        let names = options.transports
        webSocket = names.contains("websocket")
        polling = names.contains("polling") || names.contains("xhr-polling")
        leftOut = names.filter { Self.neverOffered.contains($0) }
        let place = SocketIOOptions.place(of: "transports")
        let known = ["websocket", "polling", "xhr-polling"] + Self.neverOffered
        if let unknown = names.first(where: { !known.contains($0) }) {
            let list = known.joined(separator: ", ")
            throw PomeloError(.configuration, "\(place): \(unknown.forLog) is unknown; known are: \(list)")
        }
        guard webSocket || polling else {
            let list = names.joined(separator: ", ").forLog
            throw PomeloError(.configuration, "\(place): of \(list) none is offered: name websocket or polling")
        }
    }
}
