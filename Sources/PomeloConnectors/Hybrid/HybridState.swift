// SPDX-License-Identifier: MIT
import PomeloWire

/// The life of a pomelo connection: a package in, what to do with it out.
///
/// ```
///                 HANDSHAKE             accepted              ACK
///  awaitingHandshake ───► handshaking ───► awaitingAck ───► working
///         │                    │ refused        │              │
///         └────────────────────┴────────────────┴──────────────┴──► closed
/// ```
///
/// - Source: pomelo 2.2.7, lib/connectors/hybridsocket.js and lib/connectors/hybrid/switcher.js;
///   `handshaking` is ours: the original runs its hook twice for a second handshake in that window.
struct HybridState: Equatable, Sendable {
    enum Phase: UInt8, CaseIterable, Sendable {
        case awaitingHandshake, handshaking, awaitingAck, working, closed
    }

    enum Action: Equatable, Sendable {
        /// Read the request, then call `answered`.
        case judgeHandshake
        /// Send the first heartbeat, from now on messages flow.
        case startWorking
        /// Answer with a heartbeat, when they are configured.
        case heartbeat
        /// Hand the message on.
        case dispatch
        /// Out of place, and harmless.
        case ignore
        /// Too much out of place.
        case closeIgnored
        /// Only servers send that.
        case closeKick
        /// Nothing more happens here.
        case none
    }

    private(set) var phase = Phase.awaitingHandshake
    private(set) var ignored: Int32 = 0

    /// Judges one package from the client; `limit` is how many may be ignored.
    mutating func receive(_ package: PacketType, limit: Int) -> Action {
        if phase == .closed { return .none }
        switch (package, phase) {
        case (.kick, _):
            phase = .closed
            return .closeKick
        case (.handshake, .awaitingHandshake):
            phase = .handshaking
            return .judgeHandshake
        case (.handshakeAck, .awaitingAck):
            phase = .working
            return .startWorking
        case (.heartbeat, .working): return .heartbeat
        case (.data, .working): return .dispatch
        case (.handshake, _), (.handshakeAck, _), (.heartbeat, _), (.data, _):
            ignored &+= 1
            guard ignored > limit else { return .ignore }
            phase = .closed
            return .closeIgnored
        }
    }

    /// The handshake was judged; false when the connection is no longer waiting for that.
    mutating func answered(accepted: Bool) -> Bool {
        guard phase == .handshaking else { return false }
        phase = accepted ? .awaitingAck : .closed
        return true
    }

    /// Ends the connection; false when it had ended.
    mutating func close() -> Bool {
        if phase == .closed { return false }
        phase = .closed
        return true
    }
}
