// SPDX-License-Identifier: MIT
import PomeloWire
import Testing

@testable import PomeloConnectors

@Suite struct HybridStateTests {
    typealias Phase = HybridState.Phase
    typealias Action = HybridState.Action

    struct Case: CustomTestStringConvertible, Sendable {
        let phase: Phase
        let package: PacketType
        let action: Action
        let after: Phase
        var testDescription: String { "\(package) in \(phase)" }
    }

    /// Every package in every phase; what is not named here is out of place.
    static let table: [Case] = Phase.allCases.flatMap { phase in
        PacketType.allCases.map { package in
            switch (package, phase) {
            case (_, .closed): Case(phase: phase, package: package, action: .none, after: .closed)
            case (.kick, _): Case(phase: phase, package: package, action: .closeKick, after: .closed)
            case (.handshake, .awaitingHandshake):
                Case(phase: phase, package: package, action: .judgeHandshake, after: .handshaking)
            case (.handshakeAck, .awaitingAck):
                Case(phase: phase, package: package, action: .startWorking, after: .working)
            case (.heartbeat, .working):
                Case(phase: phase, package: package, action: .heartbeat, after: .working)
            case (.data, .working): Case(phase: phase, package: package, action: .dispatch, after: .working)
            default: Case(phase: phase, package: package, action: .ignore, after: phase)
            }
        }
    }

    static func state(in phase: Phase) -> HybridState {
        var state = HybridState()
        if phase == .awaitingHandshake { return state }
        if phase == .closed {
            _ = state.close()
            return state
        }
        _ = state.receive(.handshake, limit: 16)
        if phase == .handshaking { return state }
        _ = state.answered(accepted: true)
        if phase == .working { _ = state.receive(.handshakeAck, limit: 16) }
        return state
    }

    @Test(arguments: table) func everyPackageInEveryPhase(_ item: Case) {
        var state = Self.state(in: item.phase)
        #expect(state.phase == item.phase)
        #expect(state.receive(item.package, limit: 16) == item.action)
        #expect(state.phase == item.after)
        #expect(state.ignored == (item.action == .ignore ? 1 : 0))
    }

    @Test(arguments: Phase.allCases) func anAnswerCountsOnlyWhileHandshaking(_ phase: Phase) {
        for accepted in [true, false] {
            var state = Self.state(in: phase)
            #expect(state.answered(accepted: accepted) == (phase == .handshaking))
            let after: Phase = phase != .handshaking ? phase : accepted ? .awaitingAck : .closed
            #expect(state.phase == after)
        }
    }

    @Test(arguments: Phase.allCases) func closingHappensOnce(_ phase: Phase) {
        var state = Self.state(in: phase)
        #expect(state.close() == (phase != .closed))
        let again = state.close()
        #expect(!again)
        #expect(state.phase == .closed)
    }

    @Test func tooManyPackagesOutOfPlaceClose() {
        var state = HybridState()
        for _ in 0..<16 { #expect(state.receive(.data, limit: 16) == .ignore) }
        #expect(state.receive(.data, limit: 16) == .closeIgnored)
        #expect(state.phase == .closed)
    }
}
