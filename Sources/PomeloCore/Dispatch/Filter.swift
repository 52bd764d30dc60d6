// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloWire

/// A request on its way through filters and handler.
@Loop public final class Request {
    /// 0 for a notify.
    public let id: UInt32
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

    init(id: UInt32, route: Route, body: Bytes, session: Session, deadline: UInt64) {
        self.id = id
        self.route = route
        self.body = body
        self.session = session
        self.deadline = deadline
    }
}

/// How a request ended: the reply's bytes, or the error that is turned into one.
public typealias Outcome = Result<Bytes, any Error>

/// Code that runs around handlers.
///
/// Before-filters run in order of registration; the first that throws ends the request. After-filters run in reverse
/// order, always, and see the outcome; what they return goes on.
///
/// - Source: the order is pomelo 2.2.7's, lib/common/service/filterService.js; an error stays unless replaced.
@Loop public protocol Filter {
    /// Throws to refuse the request; a `Fault` chooses the answer.
    func before(_ request: Request) async throws
    /// Returns the outcome, its own or another.
    func after(_ request: Request, _ outcome: Outcome) async -> Outcome
}

extension Filter {
    /// Lets the request pass.
    public func before(_ request: Request) async throws {}
    /// Returns the outcome as it is.
    public func after(_ request: Request, _ outcome: Outcome) async -> Outcome { outcome }
}

/// One scope's filters: around every request of a frontend, or around the handlers of one server.
@Loop public final class FilterChain {
    private var befores: [any Filter] = []
    private var afters: [any Filter] = []

    var isEmpty: Bool { befores.isEmpty && afters.isEmpty }

    /// Adds a filter's before and after part.
    public func add(_ filter: any Filter) {
        befores.append(filter)
        afters.append(filter)
    }

    /// Adds only a filter's before part.
    public func before(_ filter: any Filter) { befores.append(filter) }
    /// Adds only a filter's after part.
    public func after(_ filter: any Filter) { afters.append(filter) }

    func run(_ request: Request, _ body: () async throws -> Bytes) async -> Outcome {
        var outcome: Outcome
        do {
            for filter in befores { try await filter.before(request) }
            outcome = .success(try await body())
        } catch {
            outcome = .failure(error)
        }
        for filter in afters.reversed() { outcome = await filter.after(request, outcome) }
        return outcome
    }
}
