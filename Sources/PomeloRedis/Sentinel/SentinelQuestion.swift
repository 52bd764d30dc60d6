// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloTLS
import PomeloUV

/// What one sentinel says of a primary, asked over a connection of its own.
///
/// - Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/.
@Loop final class SentinelQuestion: RedisSocketOwner {
    struct Answer: Equatable {
        /// Nil when the sentinel does not know the name.
        var primary: SocketAddress?
        /// The other sentinels of this primary that it takes for alive.
        var sentinels: [SocketAddress] = []
    }

    /// Whether the sentinel has not proved who it is.
    private(set) var isDoubted = false
    private let place: SocketAddress
    private let address: RedisSentinelAddress
    private let clock: any LoopClock
    private let tls: TLSClientOptions?
    private let dial: Dial
    private var replies: [RedisReply] = []
    private let outcome = FirstOutcome<Result<[RedisReply], RedisError>>()

    init(
        _ place: SocketAddress, _ address: RedisSentinelAddress, _ resolver: Resolver, _ clock: any LoopClock,
        _ tls: TLSClientOptions?
    ) {
        self.tls = tls
        self.place = place
        self.address = address
        self.clock = clock
        dial = Dial(resolver, to: place)
    }

    /// Asks; called once.
    ///
    /// - Throws: `.reply` when the sentinel refuses, or is none; `.connection` when it does not answer in time.
    func answer(within limit: Duration) async throws(RedisError) -> Answer {
        let milliseconds = limit.clampedMilliseconds
        let timer = clock.schedule(after: limit) { [weak self] in
            self?.end(.failure(.connection("does not answer within \(milliseconds) ms")))
        }
        defer { clock.cancel(timer) }
        do throws(RedisError) {
            return try Self.answer(of: try await exchange(within: limit), login: login != nil)
        } catch {
            let name = "the sentinel at \(place)"
            switch error {
            case .reply(let text): throw .reply("\(name) \(text)")
            case .closed: throw error
            default: throw .connection("\(name)\(isDoubted ? ":" : "") \(error)")
            }
        }
    }

    /// Ends it at once.
    func cancel() {
        end(.failure(.closed))
        dial.cancel()
    }

    private var login: RedisCommand? {
        guard let password = address.password else { return nil }
        return address.username.map { RedisCommand("AUTH", $0, password) } ?? RedisCommand("AUTH", password)
    }

    private var commands: [RedisCommand] {
        (login.map { [$0] } ?? []) + [
            RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.primary),
            RedisCommand("SENTINEL", "SENTINELS", address.primary),
        ]
    }

    private func exchange(within limit: Duration) async throws(RedisError) -> [RedisReply] {
        let socket: RedisSocket
        do throws(NetworkError) {
            let engine = try await TLSEngine.load(tls, to: place)
            socket = try RedisSocket(
                try await dial.run(within: limit), maxReplyBytes: 1 << 20, tls: engine, owner: self)
        } catch {
            throw .connection("cannot be reached: \(error.description)")
        }
        defer { socket.close() }
        socket.send(commands, size: CommandLoad(commands[...]).bytes)
        return try await outcome.wait().get()
    }

    private func end(_ result: Result<[RedisReply], RedisError>) { outcome.end(with: result) }

    // MARK: RedisSocketOwner

    func socketDidRead(_ reader: ReplyReader) {
        let taken = reader.take(commands.count - replies.count, into: &replies)
        if replies.count == commands.count { end(.success(replies)) }
        if taken.isMalformed { end(.failure(.protocolError(reader.errorText))) }
    }

    func socketDidEnd(_ end: SocketEnd) {
        isDoubted = end.cause == .encryption
        let text = isDoubted ? end.text : "closed the connection: \(end.text)"
        self.end(.failure(.connection(text)))
    }

    // MARK: what the replies mean

    /// - Throws: `.reply` with what the sentinel does not like, without its name.
    static func answer(of replies: [RedisReply], login: Bool) throws(RedisError) -> Answer {
        if login, let text = replies.first?.errorText {
            throw .reply("refuses the sentinels' own user or password: \(RedisError.without([], text))")
        }
        let answers = replies.dropFirst(login ? 1 : 0)
        guard let named = answers.first, let others = answers.dropFirst().first else {
            throw .protocolError("too few replies")
        }
        if let text = named.errorText { throw .reply(refusal(text)) }
        guard let parts = named.strings else { return Answer() }
        guard parts.count == 2, let port = Int(parts[1]), (1...65_535).contains(port) else {
            throw .protocolError("no host and port of a primary")
        }
        return Answer(
            primary: SocketAddress(host: parts[0], port: port), sentinels: (others.array ?? []).compactMap(sentinel))
    }

    private static func refusal(_ text: String) -> String {
        if RedisError.code(of: text) == "NOAUTH" { return "requires the sentinels' own password: \(text)" }
        if text.contains("unknown command") {
            return "is none: it is a server with data, whose address begins with redis://"
        }
        return "refuses the question: \(text)"
    }

    private static func sentinel(_ reply: RedisReply) -> SocketAddress? {
        guard let fields = reply.dictionary, let host = fields["ip"], let port = fields["port"].flatMap({ Int($0) }),
            fields["flags"]?.contains("down") != true, !host.isEmpty, (1...65_535).contains(port)
        else { return nil }
        return SocketAddress(host: host, port: port)
    }
}
