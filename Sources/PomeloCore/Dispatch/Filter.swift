// SPDX-License-Identifier: MIT
import Logging
import Metrics
public import PomeloBytes
public import PomeloLoop

/// How a request ended: the reply's bytes, or the error that is turned into one.
public typealias Outcome = Result<Bytes, any Error>

/// Code that runs around handlers.
///
/// Before-filters run in order of registration; the first that throws ends the request. After-filters run in reverse
/// order, always, and see the outcome; what they return goes on. One that never returns is cut off by the request's
/// deadline, as a handler is.
///
/// - Source: the order is pomelo 2.2.7's, lib/common/service/filterService.js; an error stays unless replaced.
@Loop public protocol Filter {
    /// Whether one part of it is of no use without the other, in the same scope; the start of an application that has
    /// only one is refused.
    var needsBothParts: Bool { get }
    /// Called whenever it is added, for a filter that needs the application's clock or its events.
    func install(into application: Application)
    /// Throws to refuse the request; a `Fault` chooses the answer.
    func before(_ request: Request) async throws
    /// Returns the outcome, its own or another.
    func after(_ request: Request, _ outcome: Outcome) async -> Outcome
}

extension Filter {
    /// Its parts work by themselves.
    public var needsBothParts: Bool { false }
    /// Needs nothing.
    public func install(into application: Application) {}
    /// Lets the request pass.
    public func before(_ request: Request) async throws {}
    /// Returns the outcome as it is.
    public func after(_ request: Request, _ outcome: Outcome) async -> Outcome { outcome }
}

/// Makes an outcome of the error a request failed with: the error itself, another, or a reply.
public typealias ErrorHandler = @Loop (any Error, Request) async -> Outcome

/// One scope's filters: around every request of a frontend, or around the handlers of one server.
@Loop final class FilterChain {
    private let clock: any LoopClock
    private let log: Logger
    private var befores: [any Filter] = []
    private var afters: [any Filter] = []
    /// Those of which one part was added by itself.
    private var halves: [any Filter] = []
    /// Asked about every error of a before-filter or of what they surround; after-filters see what it returns.
    var errorHandler: ErrorHandler?
    private let cutOff = Counter(label: "pomelo.dispatch.cutOff")
    private lazy var cutOffLog = LimitedLog(log, clock, "request cut off")

    init(_ clock: any LoopClock, _ log: Logger) {
        self.clock = clock
        self.log = log
    }

    var isEmpty: Bool { befores.isEmpty && afters.isEmpty && errorHandler == nil }

    /// Adds a filter's before and after part.
    func add(_ filter: any Filter) {
        befores.append(filter)
        afters.append(filter)
    }

    /// Adds only a filter's before part.
    func before(_ filter: any Filter) {
        befores.append(filter)
        halves.append(filter)
    }

    /// Adds only a filter's after part.
    func after(_ filter: any Filter) {
        afters.append(filter)
        halves.append(filter)
    }

    /// A filter of which one part alone was added, and which needs both.
    var half: (any Filter)? {
        halves.first { half in
            half.needsBothParts && halves.count { $0 as AnyObject === half as AnyObject } < 2
        }
    }

    func run(_ request: Request, _ body: @escaping @Loop @Sendable () async throws -> Bytes) async -> Outcome {
        var outcome: Outcome
        do {
            outcome = .success(try await proceed(request, befores[...], body))
        } catch {
            outcome = await errorHandler?(error, request) ?? .failure(error)
        }
        for filter in afters.reversed() { outcome = await filter.after(request, outcome) }
        return outcome
    }

    private func proceed(
        _ request: Request, _ filters: ArraySlice<any Filter>,
        _ body: @escaping @Loop @Sendable () async throws -> Bytes
    ) async throws -> Bytes {
        for index in filters.indices {
            try await filters[index].before(request)
            guard let (limit, error) = request.takeTimeLimit() else { continue }
            let rest = filters[(index + 1)...]
            let reply = try await clock.within(limit) { try await self.proceed(request, rest, body) }
            if let reply { return reply }
            cutOff.increment()
            cutOffLog.write(["pomelo.route": "\(request.route.text.forLog)"])
            throw error
        }
        return try await body()
    }
}
