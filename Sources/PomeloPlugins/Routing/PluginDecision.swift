// SPDX-License-Identifier: MIT
import PomeloLoop

/// The head of a request, as it came.
public struct PluginHead: Sendable {
    /// In capitals, except where the caller has another spelling.
    public let method: String
    /// Begins with `/`; the query with it, and nothing decoded.
    public let path: String
    /// In their order, those of one hop with them.
    public let headers: [PluginHeader]
    /// The caller's address, without its port.
    public let peer: String?
    /// Bytes of the body, 0 without one; nil when that will be seen.
    public let bodyLength: Int?

    /// A head.
    public init(_ method: String, _ path: String, headers: [PluginHeader], peer: String? = nil, bodyLength: Int? = nil)
    {
        self.method = method
        self.path = path
        self.headers = headers
        self.peer = peer
        self.bodyLength = bodyLength
    }
}

/// What becomes of a request.
public enum PluginDecision: Sendable {
    /// It is answered at once. What comes of its body is dropped, up to the server's limit.
    case answer(PluginResponse)
    /// Its body is read, up to a limit, and the closure has the answer, all of it within a time.
    ///
    /// The closure's task is cancelled when the time is over; it runs on when the caller goes away.
    case work(limit: Int, within: Duration, @Loop @Sendable (PluginRequest) async -> PluginResponse)
    /// Somebody else answers it; both bodies flow through.
    case forward(PluginForward)
}

/// A request that somebody else answers.
public struct PluginForward: Sendable {
    /// `http://host:port`, and perhaps a path before that of the request.
    public var base: String
    /// In capitals.
    public var method: String
    /// From its first `/` on, the query with it; what may not stand in a URL is escaped, and nothing else changed.
    public var path: String
    /// All of them; those of one hop, `Expect` and `Content-Length` are left out, and `Host` is the base's without one.
    public var headers: [PluginHeader]
    /// From now until the answer's last byte has come.
    public var deadline: Duration
    /// Bytes of the request's body.
    public var requestLimit: Int
    /// Bytes of the answer's body.
    public var responseLimit: Int
    /// How often a connection is tried, one second after the other; no request is sent twice.
    public var attempts: Int
    /// Told once how it ended, also when the caller went away.
    public var finished: @Loop @Sendable (PluginOutcome) -> Void
    /// What the caller is answered when it came to nothing; without it the server's own words.
    public var failure: (@Sendable (PluginOutcome) -> PluginResponse)?

    /// A request to be sent.
    public init(
        base: String, method: String, path: String, headers: [PluginHeader], deadline: Duration, requestLimit: Int,
        responseLimit: Int, attempts: Int = 1, finished: @escaping @Loop @Sendable (PluginOutcome) -> Void,
        failure: (@Sendable (PluginOutcome) -> PluginResponse)? = nil
    ) {
        self.base = base
        self.method = method
        self.path = path
        self.headers = headers
        self.deadline = deadline
        self.requestLimit = requestLimit
        self.responseLimit = responseLimit
        self.attempts = attempts
        self.finished = finished
        self.failure = failure
    }
}

/// How a request ended that was to be answered by somebody else, or by the work of this process.
public enum PluginOutcome: Sendable, Hashable {
    /// The whole answer has come; whatever its status is.
    case answered(status: Int)
    /// No byte of the request has left; why.
    case unreachable(String)
    /// The request may have been executed, and there is no answer, or a part of one; why.
    case broken(String)
    /// The time is over.
    case timedOut
    /// The request's body has more bytes than were allowed.
    case requestTooLarge
    /// The answer's body has more bytes than were allowed.
    case responseTooLarge
    /// The caller went away, or its body took longer than it may.
    case abandoned
}
