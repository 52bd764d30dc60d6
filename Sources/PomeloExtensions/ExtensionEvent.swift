// SPDX-License-Identifier: MIT
public import PomeloContract
public import PomeloJSON
import PomeloLoop

/// What implementers are asked or told.
public struct ExtensionEvent: Sendable {
    /// Where it happens.
    public let point: ExtensionPoint
    /// A UUID as text, the same for all implementers: who may be told twice knows it by this.
    public let id: String
    /// When it happened, in milliseconds since 1970.
    public let at: Int64
    /// The server where it happens.
    public let server: ServerID
    /// What it is about: events of a point with one key keep their order.
    public let key: String
    /// What happens; what its parts are depends on the point.
    public internal(set) var data: JSON

    /// Puts the parts together.
    public init(point: ExtensionPoint, id: String, at: Int64, server: ServerID, key: String, data: JSON) {
        self.point = point
        self.id = id
        self.at = at
        self.server = server
        self.key = key
        self.data = data
    }

    /// As it is sent to other processes: `{event,id,ts,server_id,data}`.
    public var json: JSON {
        [
            "event": .string(point.name.text), "id": .string(id), "ts": .int(at), "server_id": .init(server),
            "data": data,
        ]
    }
}

extension RandomSource {
    /// A new id for an event.
    ///
    /// - Source: RFC 9562, version 4: 122 random bits.
    func uuid() -> String {
        let high = next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for place in 0..<32 {
            if [8, 12, 16, 20].contains(place) { text.append(UInt8(ascii: "-")) }
            let half = place < 16 ? high : low
            let digit = UInt8(truncatingIfNeeded: half >> UInt64(60 - place % 16 * 4)) & 0xF
            text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
        return String(decoding: text, as: UTF8.self)
    }
}
