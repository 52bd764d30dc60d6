// SPDX-License-Identifier: MIT
import PomeloBytes

extension EngineIOSession {
    /// A request for a WebSocket has arrived, in this session's name or as its first.
    ///
    /// - Returns: a refusal, to be given instead of the upgrade; else the WebSocket is open, and the rest is for it.
    public mutating func webSocketOpened(_ number: Number, now: UInt64) -> [Action] {
        switch stage {
        case .closed: return [.refuse(number, .unknownSession)]
        case .new:
            var actions: [Action] = []
            stage = .webSocket(number)
            flush(&actions, now)
            return actions
        case .polling where revision != .one:
            stage = .probing(number, isProbed: false, until: now &+ options.upgradeTimeout)
            noops = 0
            return []
        case .polling, .probing, .webSocket, .closing: return [.refuse(number, .badRequest)]
        }
    }

    /// A whole message has arrived on a WebSocket.
    public mutating func webSocketReceived(
        _ number: Number, _ message: Span<UInt8>, isText: Bool, now: UInt64
    ) -> [Action] {
        var actions: [Action] = []
        switch stage {
        case .webSocket(number):
            // Nearly all of them are; nothing is copied before it is known what it says.
            if isText, revision != .one, message.count > 0, message[0] == Self.message {
                take(message: message.extracting(1...), &actions, now)
                break
            }
            do throws(WireError) {
                try take(packet(message, isText: isText), &actions, now)
            } catch {
                finish(.malformed, &actions)
            }
        case .probing(number, _, let deadline): probe(number, message, deadline, &actions, now)
        default: break
        }
        return actions
    }

    /// A WebSocket closed, by a close frame or without.
    public mutating func webSocketClosed(_ number: Number) -> [Action] {
        var actions: [Action] = []
        switch stage {
        case .webSocket(number):
            stage = .polling
            finish(.transportClosed, &actions)
        case .probing(number, _, _): stage = .polling
        default: break
        }
        return actions
    }

    private static let message = EngineIOPacket.Kind.message.rawValue &+ UInt8(ascii: "0")

    private func packet(_ message: Span<UInt8>, isText: Bool) throws(WireError) -> Inbound {
        if revision == .one {
            guard isText else { throw .malformed("binary packet") }
            return .zeroNine(try SocketIO09Packet(message))
        }
        return .engine(
            try isText ? EngineIOPacket(text: message) : EngineIOPacket(binary: message, revision))
    }

    /// The first words on a WebSocket that wants to take over.
    private mutating func probe(
        _ number: Number, _ message: Span<UInt8>, _ deadline: UInt64, _ actions: inout [Action], _ now: UInt64
    ) {
        let probe = EngineIOPacket.probe
        if message.hasSameBytes(as: probe.span) {
            heardAt = now
            stage = .probing(number, isProbed: true, until: deadline)
            actions.append(.send(number, EngineIOPacket.probed))
            flush(&actions, now)
        } else if message.count == 1, message[0] == EngineIOPacket.Kind.upgrade.rawValue &+ UInt8(ascii: "0") {
            heardAt = now
            stage = .webSocket(number)
            if let poll { answer(poll.number, [], &actions) }
            unwritten = nil
            flush(&actions, now)
        } else {
            stage = .polling
            actions.append(.closeWebSocket(number))
        }
    }
}
