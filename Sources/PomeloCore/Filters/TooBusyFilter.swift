// SPDX-License-Identifier: MIT
import Metrics
public import PomeloLoop

/// Refuses requests, with code 503, while this process's loop lags behind.
///
/// - Source: pomelo 2.2.7, lib/filters/handler/toobusy.js, which needs a package that may not be there, and breaks
///   every answer when it is added by `filter`.
@Loop public final class TooBusyFilter: Filter {
    private let maxLag: Duration
    private var lag: LoopLag?
    private let refused = Counter(label: "pomelo.filter.tooBusy.refused")

    /// Refuses from this lag on.
    public init(maxLag: Duration = .milliseconds(70)) { self.maxLag = maxLag }

    /// Measures the lag by the application's clock.
    public func install(into application: Application) { lag = lag ?? LoopLag(application.clock) }

    /// - Throws: `Fault` 503 while the loop lags.
    public func before(_ request: Request) async throws {
        guard let lag, lag.current > maxLag else { return }
        refused.increment()
        throw Fault(503, "the server is too busy")
    }
}

/// Refuses calls to other servers, with code 503, while this process's loop lags behind.
///
/// - Source: pomelo 2.2.7, lib/filters/rpc/toobusy.js, which measures the caller too, and names the server called.
@Loop public final class RPCTooBusyFilter: RPCFilter {
    private let maxLag: Duration
    private var lag: LoopLag?
    private let refused = Counter(label: "pomelo.filter.rpcTooBusy.refused")

    /// Refuses from this lag on.
    public init(maxLag: Duration = .milliseconds(70)) { self.maxLag = maxLag }

    /// Measures the lag by the application's clock.
    public func install(into application: Application) { lag = lag ?? LoopLag(application.clock) }

    /// - Throws: `Fault` 503 while the loop lags.
    public func before(_ request: RPCRequest) async throws {
        guard let lag, lag.current > maxLag else { return }
        refused.increment()
        throw Fault(503, "this server is too busy to call \(request.server)")
    }
}

extension Filter where Self == TooBusyFilter {
    /// Refuses requests while the loop lags by more than `maxLag`.
    public static func tooBusy(maxLag: Duration = .milliseconds(70)) -> TooBusyFilter { TooBusyFilter(maxLag: maxLag) }
}

extension RPCFilter where Self == RPCTooBusyFilter {
    /// Refuses calls to other servers while the loop lags by more than `maxLag`.
    public static func tooBusy(maxLag: Duration = .milliseconds(70)) -> RPCTooBusyFilter {
        RPCTooBusyFilter(maxLag: maxLag)
    }
}
