// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloContract
public import PomeloJSON
public import PomeloLoop

/// A request on its way through filters and handler.
@Loop public final class Request {
    /// 0 for a notify.
    public let id: UInt32
    /// Who is to be answered; nil once that was done, and at a backend, which answers its frontend.
    var client: ClientSession?
    /// What the client asked for.
    public let route: Route
    /// The client's bytes, not decoded.
    public let body: Bytes
    /// The request's copy of the session: what a filter sets, the handler reads.
    public let session: Session
    /// Monotonic nanoseconds of the application's clock; the answer is due by then.
    public let deadline: UInt64
    /// For filters, for the duration of the request.
    public var notes = JSONObject()
    private var timeLimit: (limit: Duration, error: any Error)?

    init(id: UInt32, route: Route, body: Bytes, session: Session, deadline: UInt64) {
        self.id = id
        self.route = route
        self.body = body
        self.session = session
        self.deadline = deadline
    }

    /// Gives what follows the calling before-filter, later filters and the handler, only so much time.
    ///
    /// When it is over they are cancelled, what they still return is dropped, and the after-filters see `error`.
    public func limit(to limit: Duration, else error: any Error) { timeLimit = (limit, error) }

    func takeTimeLimit() -> (limit: Duration, error: any Error)? {
        defer { timeLimit = nil }
        return timeLimit
    }
}
