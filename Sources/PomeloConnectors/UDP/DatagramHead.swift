// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire

/// What a datagram is, seen by the heads of its packages, before anything in it is believed.
struct DatagramHead {
    /// The type of its first package, which says what the datagram is for.
    let first: PacketType
    /// Where the body of that is.
    let body: Range<Int>

    /// Nil for anything but whole packages, one behind the other, with none that only servers send.
    ///
    /// So a datagram is taken whole or not at all.
    init?(_ bytes: Span<UInt8>, maxBodyBytes: Int) {
        var first: (PacketType, Int)?
        var isServers = false
        do throws(WireError) {
            _ = try PacketDecoder.decodeFrame(bytes, maxBodyBytes: maxBodyBytes) { type, body, _ in
                if first == nil { first = (type, body.count) }
                isServers = isServers || type == .kick
                return true
            }
        } catch {
            return nil
        }
        guard let (type, count) = first, !isServers else { return nil }
        self.first = type
        body = Packet.headerLength..<Packet.headerLength + count
    }
}
