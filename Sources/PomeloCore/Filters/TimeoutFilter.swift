// SPDX-License-Identifier: MIT
public import PomeloLoop

/// Cuts off requests that take too long, and answers them with code 504.
///
/// What the filter surrounds is cancelled; what it still returns is dropped.
///
/// - Source: pomelo 2.2.7, lib/filters/handler/timeout.js, which only logs, and gives up counting beyond 500 requests.
@Loop public struct TimeoutFilter: Filter {
    static let late = Fault(504, "the request took too long")
    private let limit: Duration

    /// A filter with one limit for all requests.
    public init(_ limit: Duration = .seconds(3)) { self.limit = limit }

    /// Gives later filters and the handler the filter's limit.
    public func before(_ request: Request) async throws { request.limit(to: limit, else: Self.late) }
}

extension Filter where Self == TimeoutFilter {
    /// Cuts off requests that take longer than `limit`.
    public static func timeout(_ limit: Duration = .seconds(3)) -> TimeoutFilter { TimeoutFilter(limit) }
}
