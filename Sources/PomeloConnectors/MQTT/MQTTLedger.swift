// SPDX-License-Identifier: MIT
import PomeloBytes

/// What is not done yet between one client and the server, by packet ids; each list has `limit` places.
///
/// - Source: OASIS MQTT 3.1.1, sections 2.3.1 and 4.3.
struct MQTTLedger: Equatable, Sendable {
    enum Arrival: Equatable, Sendable {
        case new
        /// It is being dealt with already.
        case repeated
        case full
    }

    /// Messages of QoS 2 that were handed on and are not released.
    private(set) var received: Set<UInt16> = []
    /// The QoS asked for in each SUBSCRIBE that is not answered.
    private(set) var subscribes: [UInt16: Bytes] = [:]
    /// Messages of QoS 1 that the client has not acknowledged.
    private(set) var sent: Set<UInt16> = []
    private var lastID: UInt16 = 0

    /// A message of QoS 2 has come.
    mutating func receive(_ id: UInt16, limit: Int) -> Arrival {
        if received.contains(id) { return .repeated }
        guard received.count < limit else { return .full }
        received.insert(id)
        return .new
    }

    /// The client will not send it again; false when nothing was known of it.
    mutating func release(_ id: UInt16) -> Bool { received.remove(id) != nil }

    /// A SUBSCRIBE has come.
    mutating func subscribe(_ id: UInt16, _ asked: Bytes, limit: Int) -> Arrival {
        if subscribes[id] != nil { return .repeated }
        guard subscribes.count < limit else { return .full }
        subscribes[id] = asked
        return .new
    }

    /// It is answered; nil when it was already.
    mutating func answer(_ id: UInt16) -> Bytes? { subscribes.removeValue(forKey: id) }

    /// An id for a message of QoS 1; nil when too many are not acknowledged.
    mutating func send(limit: Int) -> UInt16? {
        guard sent.count < min(limit, Int(UInt16.max)) else { return nil }
        repeat { lastID &+= 1 } while lastID == 0 || sent.contains(lastID)
        sent.insert(lastID)
        return lastID
    }

    /// The client has it; false when nothing was sent with that id.
    mutating func acknowledge(_ id: UInt16) -> Bool { sent.remove(id) != nil }
}
