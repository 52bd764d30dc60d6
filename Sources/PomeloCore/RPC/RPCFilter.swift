// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloJSON
public import PomeloLoop

/// A call on its way through filters to another server.
@Loop public final class RPCRequest {
    /// The server that is called; a before-filter may choose another.
    public var server: ServerID
    /// What is called; of a forwarded request what the client asked for.
    public let route: Route
    /// The encoded argument, of a forwarded request the client's bytes; a before-filter may replace it.
    public var payload: Bytes
    /// The session that a request is forwarded for, or that chose the server; nil for a call to a server by its id.
    public let session: Session?
    /// Whether this is a client's request on its way to the server of its route.
    public let isForwarded: Bool
    /// Monotonic nanoseconds of the application's clock when the call began.
    public let began: UInt64
    /// Monotonic nanoseconds of the application's clock; the outcome is due by then.
    public let deadline: UInt64
    /// For filters, for the duration of the call; no other call sees them.
    public var notes = JSONObject()

    init(
        _ server: ServerID, _ route: Route, _ payload: Bytes, for session: Session?, isForwarded: Bool = false,
        began: UInt64, deadline: UInt64
    ) {
        self.server = server
        self.route = route
        self.payload = payload
        self.session = session
        self.isForwarded = isForwarded
        self.began = began
        self.deadline = deadline
    }
}

/// Code that runs around calls to other servers, in the calling process.
///
/// Before-filters run in order of registration; the first that throws ends the call, and its error is what the caller
/// gets. After-filters run in the order of registration too, always, and see the outcome; what they return goes on.
/// Calls of the framework itself, such as pushes, are not filtered.
///
/// - Source: pomelo 2.2.7, rpc filters, which also do not reverse the after-filters, but skip them after an error.
@Loop public protocol RPCFilter {
    /// Called whenever it is added, for a filter that needs the application's clock or its events.
    func install(into application: Application)
    /// Throws to refuse the call; may change its server or payload.
    func before(_ request: RPCRequest) async throws
    /// Returns the outcome, its own or another.
    func after(_ request: RPCRequest, _ outcome: Outcome) async -> Outcome
}

extension RPCFilter {
    /// Needs nothing.
    public func install(into application: Application) {}
    /// Lets the call pass.
    public func before(_ request: RPCRequest) async throws {}
    /// Returns the outcome as it is.
    public func after(_ request: RPCRequest, _ outcome: Outcome) async -> Outcome { outcome }
}

/// Makes an outcome of the error a call failed with: the error itself, another, or a reply.
public typealias RPCErrorHandler = @Loop @Sendable (any Error, RPCRequest) async -> Outcome

/// The filters around calls to other servers.
@Loop final class RPCFilterChain {
    /// What after-filters and the error handler have when the call has used up its own time.
    static let timeAfterwards = Duration.seconds(1)

    private let clock: any LoopClock
    private var befores: [any RPCFilter] = []
    private var afters: [any RPCFilter] = []
    var errorHandler: RPCErrorHandler?

    init(_ clock: any LoopClock) { self.clock = clock }

    var isEmpty: Bool { befores.isEmpty && afters.isEmpty && errorHandler == nil }

    func add(_ filter: any RPCFilter) {
        befores.append(filter)
        afters.append(filter)
    }

    func before(_ filter: any RPCFilter) {
        befores.append(filter)
    }

    func after(_ filter: any RPCFilter) {
        afters.append(filter)
    }

    /// Runs a call within the filters; `send` keeps to the time it is given.
    func run(
        _ request: RPCRequest, _ send: @escaping @Loop @Sendable (RPCRequest, Duration) async throws -> Bytes
    ) async throws -> Bytes {
        let outcome: Outcome
        do {
            try await refuseOrPass(request)
            outcome = .success(try await send(request, left(of: request)))
        } catch {
            outcome = .failure(error)
        }
        let finished = try await clock.within(max(left(of: request), Self.timeAfterwards)) {
            await self.finish(request, outcome)
        }
        return try (finished ?? outcome).get()
    }

    private func refuseOrPass(_ request: RPCRequest) async throws {
        guard !befores.isEmpty else { return }
        let befores = befores
        let passed: Void? = try await clock.within(left(of: request)) {
            for filter in befores { try await filter.before(request) }
        }
        if passed == nil { throw RPCError.notSent("the filters of \(request.route) took all its time") }
    }

    private func finish(_ request: RPCRequest, _ result: Outcome) async -> Outcome {
        var outcome = result
        if case .failure(let error) = outcome, let errorHandler { outcome = await errorHandler(error, request) }
        for filter in afters { outcome = await filter.after(request, outcome) }
        return outcome
    }

    private func left(of request: RPCRequest) -> Duration { clock.left(until: request.deadline) }
}
