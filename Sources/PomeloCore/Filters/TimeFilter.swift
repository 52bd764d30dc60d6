// SPDX-License-Identifier: MIT
import Logging
import Metrics
import PomeloBytes
import PomeloJSON
public import PomeloLoop

/// Measures how long requests take, from its `before` to its `after`.
///
/// Each is logged under the label `con-log` with its route and microseconds, beyond 1000 in a second only their number,
/// and recorded by the timer `pomelo.request.duration`, whose dimension `route` is `other` for routes that are neither
/// served nor declared here.
///
/// - Source: pomelo 2.2.7, lib/filters/handler/time.js, which also logs the body.
@Loop public final class TimeFilter: Filter {
    /// What was begun is measured at its end.
    public let needsBothParts = true
    private var clock: (any LoopClock)?
    /// Whether a route is one of a bounded number.
    private var knows: @Loop (Route) -> Bool = { _ in false }
    private var log: LimitedLog?
    private var timers: [Text: Timer] = [:]
    /// Differs between filters, for one request may pass several.
    private lazy var note = "time \(ObjectIdentifier(self))"

    /// A filter for one application.
    public init() {}

    /// The values of the timer's dimension so far, sorted.
    var recordedRoutes: [String] { timers.keys.sorted().map(\.string) }

    /// Takes the application's clock, and asks it about routes.
    public func install(into application: Application) {
        clock = application.clock
        knows = { [weak dispatcher = application.dispatcher] route in dispatcher?.knows(route) ?? false }
        log = LimitedLog(Logger(label: "con-log").lineSafe, application.clock, "request", level: .info, lines: 1000)
    }

    /// Notes when the request came.
    public func before(_ request: Request) async throws {
        guard let clock else { return }
        request.notes[note] = .int(Int64(clamping: clock.now))
    }

    /// Logs and records the time since `before`.
    public func after(_ request: Request, _ outcome: Outcome) async -> Outcome {
        guard let clock, let began = request.notes[note]?.int else { return outcome }
        let nanoseconds = Int64(clamping: clock.now) - began
        timer(request.route).recordNanoseconds(nanoseconds)
        log?.write(["pomelo.route": "\(request.route.text.forLog)", "pomelo.elapsedUs": "\(nanoseconds / 1000)"])
        return outcome
    }

    private func timer(_ route: Route) -> Timer {
        if let known = timers[Text(route.text)] { return known }
        let name = knows(route) ? route.text : "other"
        let timer = timers[Text(name)] ?? Timer(label: "pomelo.request.duration", dimensions: [("route", name)])
        timers[Text(name)] = timer
        return timer
    }
}

extension Filter where Self == TimeFilter {
    /// Logs and measures how long requests take.
    public static func time() -> TimeFilter { TimeFilter() }
}
