// SPDX-License-Identifier: MIT
import Testing

@testable import PomeloSupervision

@Suite struct RestartTests {
    private func pauses(_ rule: RestartRule, _ lasted: [Duration]) -> [Duration?] {
        var restarts = Restarts(rule)
        return lasted.map { restarts.pause(afterRunning: $0) }
    }

    @Test func neverIsNever() {
        #expect(pauses(.never, [.zero, .seconds(3600)]) == [nil, nil])
    }

    @Test func soManyInARow() {
        #expect(
            pauses(.atMost(3), [.seconds(59), .zero, .zero, .zero])
                == [.milliseconds(250), .milliseconds(500), .seconds(1), nil])
    }

    /// What stays up for a minute has made up for all that was before.
    @Test func aMinuteMakesUpForAll() {
        #expect(
            pauses(.atMost(2), [.zero, .zero, .seconds(60), .zero, .zero])
                == [.milliseconds(250), .milliseconds(500), .milliseconds(250), .milliseconds(500), nil])
    }

    @Test func alwaysAfterLongerAndLongerPauses() {
        let pauses = pauses(.always, Array(repeating: .zero, count: 50)).compactMap(\.self)
        #expect(pauses.count == 50)
        #expect(Array(pauses.prefix(8)) == [0.25, 0.5, 1, 2, 4, 8, 16, 30].map { .seconds($0) })
        #expect(pauses.dropFirst(8).allSatisfy { $0 == .seconds(30) })
    }

    @Test func aStartOnPurposeForgets() {
        var restarts = Restarts(.atMost(1))
        #expect(restarts.pause(afterRunning: .zero) == .milliseconds(250))
        #expect(restarts.pause(afterRunning: .zero) == nil)
        restarts.forget()
        #expect(restarts.pause(afterRunning: .zero) == .milliseconds(250))
    }
}
