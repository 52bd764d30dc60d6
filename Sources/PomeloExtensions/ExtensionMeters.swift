// SPDX-License-Identifier: MIT
import Logging
import Metrics
import PomeloBytes
import PomeloCore
import PomeloLoop

/// What is counted at each point, for swift-metrics as `pomelo.extensions.asked` and so on, and for who asks here.
public enum ExtensionCount: String, Sendable, CaseIterable {
    /// Questions that somebody was there to answer.
    case asked
    /// Questions that ended without a word.
    case dropped
    /// Questions that were refused, by an implementer or by the policy.
    case refused
    /// Answers that did not come in time, or did not count; events at which an implementer of this process threw.
    case failed
    /// Events that somebody was there to be told of.
    case told
    /// Events that were too large, or that an implementer of this process had no room for.
    case lost
}

/// The counters of all points, and the lines about what fails.
@Loop final class ExtensionMeters {
    /// Points with counters of their own; further ones share theirs.
    static let limit = 64

    @Loop private final class Meter {
        private let counters: [Counter]
        private(set) var values: [Int]

        init(_ point: String) {
            let kinds = ExtensionCount.allCases
            counters = kinds.map {
                Counter(label: "pomelo.extensions.\($0.rawValue)", dimensions: [("point", point)])
            }
            values = kinds.map { _ in 0 }
        }

        func count(_ kind: ExtensionCount) {
            guard let index = ExtensionCount.allCases.firstIndex(of: kind) else { return }
            counters[index].increment()
            values[index] += 1
        }

        func value(of kind: ExtensionCount) -> Int {
            ExtensionCount.allCases.firstIndex(of: kind).map { values[$0] } ?? 0
        }
    }

    private let log: LimitedLog
    private var meters: [ExtensionPoint: Meter] = [:]
    private lazy var others = Meter("other")

    init(_ context: ServiceContext) {
        log = LimitedLog(context.log, context.clock, "an extension failed")
    }

    func count(_ kind: ExtensionCount, at point: ExtensionPoint) { meter(point).count(kind) }

    func value(of kind: ExtensionCount, at point: ExtensionPoint) -> Int { meters[point]?.value(of: kind) ?? 0 }

    /// Counts what a question came to.
    func ended(_ point: ExtensionPoint, _ verdict: ExtensionVerdict) {
        switch verdict {
        case .pass: break
        case .drop: count(.dropped, at: point)
        case .refuse: count(.refused, at: point)
        }
    }

    /// Counts a failure, and says what it was, as often as a log can bear.
    func failed(
        _ point: ExtensionPoint, _ error: any Error, _ implementer: String? = nil,
        as kind: ExtensionCount = .failed
    ) {
        count(kind, at: point)
        log.write([
            "pomelo.point": "\(point.description.forLog)", "pomelo.implementer": "\((implementer ?? "").forLog)",
            "error": "\(error)",
        ])
    }

    private func meter(_ point: ExtensionPoint) -> Meter {
        if let meter = meters[point] { return meter }
        guard meters.count < Self.limit else { return others }
        let meter = Meter(point.description)
        meters[point] = meter
        return meter
    }
}
