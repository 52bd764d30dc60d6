// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop

/// How much one client may say in a time, its requests, notifies and their bytes; nothing is limited by default.
///
/// Nobody but the application knows what its clients send when all is well, and a client that says much costs the
/// others nothing: it has a share of each turn. Who wants a limit takes a few times of what a busy client needs.
///
/// Both are buckets that fill up with time: a client that was quiet may say a burst at once.
///
/// - Source: ours; the originals have none.
public struct RateLimits: Sendable, Equatable {
    /// Requests and notifies of a client in a second; 0 for no limit.
    public var messagesPerSecond = 0
    /// How many a client may say at once that was quiet; 0 for those of two seconds.
    public var messageBurst = 0
    /// Bytes of their routes and bodies in a second; 0 for no limit.
    public var bytesPerSecond = 0
    /// How many a client may say at once that was quiet; 0 for those of two seconds.
    ///
    /// One message longer than that is let through to a client that has been quiet for as long.
    public var byteBurst = 0
    /// How many messages may be too many before the client is closed; it starts over when the client was quiet for long
    /// enough to say a whole burst again.
    ///
    /// A request is answered `{"code":429,"retryAfterMs":…}` meanwhile, and a notify is dropped.
    public var maxRefusals = 100

    /// No limit.
    public init() {}

    /// Whether there is something to count.
    var areSet: Bool { messagesPerSecond > 0 || bytesPerSecond > 0 }

    mutating func read(_ reader: inout OptionReader) throws {
        let number = 0...1 << 30
        messagesPerSecond = try reader.int("messagesPerSecond", in: number) ?? messagesPerSecond
        messageBurst = try reader.int("messageBurst", in: number) ?? messageBurst
        bytesPerSecond = try reader.int("bytesPerSecond", in: number) ?? bytesPerSecond
        byteBurst = try reader.int("byteBurst", in: number) ?? byteBurst
        maxRefusals = try reader.int("maxRefusals", in: number) ?? maxRefusals
    }
}

/// A bucket that holds a burst and fills up at a rate, as one number: when it will be full.
///
/// - Source: the generic cell rate algorithm of ITU-T I.371, annex A.
struct TokenBucket: Sendable {
    /// In nanoseconds, what all of it takes to fill up.
    private let span: UInt64
    private let rate: UInt64
    private static let second: UInt64 = 1_000_000_000

    /// Nil without a rate.
    init?(perSecond: Int, burst: Int) {
        guard perSecond > 0 else { return nil }
        rate = UInt64(perSecond)
        let tokens = burst > 0 ? UInt64(burst) : 2 * rate
        span = Self.time(of: tokens, at: rate)
    }

    /// What so many tokens take to come, at least a nanosecond.
    private static func time(of tokens: UInt64, at rate: UInt64) -> UInt64 {
        let (high, low) = tokens.multipliedFullWidth(by: second)
        return high < rate ? max(1, rate.dividingFullWidth((high, low)).quotient) : .max
    }

    /// When it is full if so many are taken now, and how long to wait until they may be; a full one gives any number.
    func take(_ tokens: Int, fullAt: UInt64, now: UInt64) -> (fullAt: UInt64, wait: UInt64) {
        let filled = max(fullAt, now)
        let (sum, overflow) = filled.addingReportingOverflow(Self.time(of: UInt64(max(1, tokens)), at: rate))
        let after = overflow ? .max : sum
        if filled == now { return (after, 0) }
        let missing = after - now
        if missing <= span { return (after, 0) }
        // One that gives any number when it is full never makes anybody wait for longer.
        return (after, min(missing - span, filled - now))
    }
}

/// What one client has said of late; two numbers, and how often it was too much.
@Loop final class ClientRate {
    enum Verdict: Equatable {
        case passes
        /// It may pass after so many milliseconds.
        case refused(retryAfter: Int)
        /// It was told too often.
        case tooOften
    }

    private let limits: SharedRates
    private var messagesFullAt: UInt64 = 0
    private var bytesFullAt: UInt64 = 0
    private var refusals: Int32 = 0

    /// Nil where nothing is limited.
    init?(_ limits: SharedRates?) {
        guard let limits else { return nil }
        self.limits = limits
    }

    func judge(_ bytes: Int, at now: UInt64) -> Verdict {
        let one = limits.messages?.take(1, fullAt: messagesFullAt, now: now) ?? (fullAt: 0, wait: 0)
        let other = limits.bytes?.take(bytes, fullAt: bytesFullAt, now: now) ?? (fullAt: 0, wait: 0)
        let wait = max(one.wait, other.wait)
        if messagesFullAt <= now, bytesFullAt <= now { refusals = 0 }
        guard wait > 0 else {
            (messagesFullAt, bytesFullAt) = (one.fullAt, other.fullAt)
            return .passes
        }
        refusals &+= 1
        guard refusals <= limits.maxRefusals else { return .tooOften }
        return .refused(retryAfter: Int(clamping: (wait - 1) / 1_000_000 + 1))
    }
}

/// The limits of one connector in the form in which they are needed.
final class SharedRates: Sendable {
    let messages: TokenBucket?
    let bytes: TokenBucket?
    let maxRefusals: Int32

    /// Nil where nothing is limited.
    init?(_ limits: RateLimits) {
        guard limits.areSet else { return nil }
        messages = TokenBucket(perSecond: limits.messagesPerSecond, burst: limits.messageBurst)
        bytes = TokenBucket(perSecond: limits.bytesPerSecond, burst: limits.byteBurst)
        maxRefusals = Int32(clamping: limits.maxRefusals)
    }
}

/// A client whose messages are counted before the core hears them.
@Loop protocol RatedClient: ClientSocket {
    /// Nil where nothing is limited.
    var rate: ClientRate? { get }
    /// A message was too many.
    func noteOverRate()
    /// It goes on all the same: ends the connection.
    func endOverRate()
}

extension RatedClient {
    /// Whether the core may hear a message; one that is too many is answered here if it is a request.
    ///
    /// `now` is when its bytes were read: a message that waited for its turn is not one of this moment.
    func mayPass(_ message: ClientMessage, at now: UInt64) -> Bool {
        mayPass(message.id, message.route, bodyBytes: message.body.count, at: now)
    }

    /// The same of a message whose body nobody has copied yet.
    func mayPass(_ id: UInt32, _ route: Route, bodyBytes: Int, at now: UInt64) -> Bool {
        guard let rate else { return true }
        switch rate.judge(bodyBytes + route.text.utf8.count, at: now) {
        case .passes: return true
        case .refused(let milliseconds):
            noteOverRate()
            if id > 0 {
                respond(id: id, route: route, body: Bytes("{\"code\":429,\"retryAfterMs\":\(milliseconds)}".utf8))
            }
        case .tooOften:
            noteOverRate()
            endOverRate()
        }
        return false
    }
}
