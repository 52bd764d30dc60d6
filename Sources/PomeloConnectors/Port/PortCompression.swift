// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloDeflate
import PomeloLoop

/// Deflates and inflates for all clients of a port: with one state of each kind, which is made when it is first wanted
/// and begins anew with each message, so that a client who says nothing costs nothing.
@Loop final class PortCompression {
    /// For bodies that clients have compressed: pomelo's messages, whatever carries them.
    private var bodies: Inflater?

    /// Inflates a body.
    ///
    /// - Throws: as `Inflater`.
    func inflate(body: Span<UInt8>, limit: Int) throws(WireError) -> Bytes {
        if let bodies { return try bodies.inflate(body, limit: limit) }
        let inflater = try Inflater(.zlibOrGzip)
        bodies = inflater
        return try inflater.inflate(body, limit: limit)
    }
}
