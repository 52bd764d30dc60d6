// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloWire

// A sealed connection carries the same frames as an open one, each in one or more records (`RPCRecordDecoder`) of one
// Noise message. Their numbers are the nonces, so that a record that is changed, left out, repeated or moved cannot be
// opened.

/// Turns frames into the bytes of one direction of a connection.
struct FrameWriter {
    private var cipher: NoiseCipher?

    mutating func seal(with cipher: NoiseCipher?) { self.cipher = cipher }

    mutating func encode(_ frame: RPCFrame) throws(WireError) -> Bytes {
        let plain = try frame.encoded()
        guard var cipher else { return plain }
        let size = NoiseCipher.maxMessageBytes - NoiseCipher.tagBytes
        var records: Bytes = []
        records.reserveCapacity(plain.count + (plain.count / size + 1) * (2 + NoiseCipher.tagBytes))
        do throws(NoiseError) {
            for start in stride(from: 0, to: plain.count, by: size) {
                let message = try cipher.seal(plain[start..<min(start + size, plain.count)])
                records.append(UInt8(truncatingIfNeeded: message.count >> 8))
                records.append(UInt8(truncatingIfNeeded: message.count))
                records += message
            }
        } catch {
            throw .malformed("RPC: a frame cannot be sealed: \(error)")
        }
        self.cipher = cipher
        return records
    }
}

/// Finds frames in the bytes of one direction of a connection.
struct FrameReader {
    private var decoder: RPCDecoder
    private var records = RPCRecordDecoder(maxRecordBytes: 0)
    private var cipher: NoiseCipher?

    init(maxFrameBytes: Int) { decoder = RPCDecoder(maxFrameBytes: maxFrameBytes) }

    /// What comes next is sealed; bytes that came before and were no whole frame are dropped.
    mutating func seal(with cipher: NoiseCipher) {
        self.cipher = cipher
        decoder = RPCDecoder(maxFrameBytes: decoder.maxFrameBytes)
        records = RPCRecordDecoder(maxRecordBytes: Self.maxRecordBytes(of: decoder))
    }

    /// As `RPCDecoder.decode`.
    ///
    /// - Throws: also for a record that is longer than the frame it may hold, or not authentic.
    mutating func decode(_ input: Span<UInt8>, _ each: RPCDecoder.Each) throws(WireError) {
        if cipher == nil { return try decoder.decode(input, each) }
        var offset = 0
        var goesOn = true
        while goesOn, let message = try records.next(input, &offset) {
            let plain = try open(message)
            try decoder.decode(plain.span) { frame, maxFrameBytes in
                goesOn = each(frame, &maxFrameBytes)
                return goesOn
            }
            records.maxRecordBytes = Self.maxRecordBytes(of: decoder)
        }
    }

    private mutating func open(_ message: ArraySlice<UInt8>) throws(WireError) -> Bytes {
        do {
            guard let plain = try cipher?.open(message) else { return [] }
            return plain
        } catch {
            throw .malformed("RPC: a sealed record cannot be opened: \(error)")
        }
    }

    /// A record holds at most one frame with its length field.
    private static func maxRecordBytes(of decoder: RPCDecoder) -> Int {
        min(NoiseCipher.maxMessageBytes, decoder.maxFrameBytes &+ 4 &+ NoiseCipher.tagBytes)
    }
}

/// What became of a call that failed, as a failure frame says it; of an unknown kind it failed like any other.
enum FailureKind: UInt8 {
    case failed = 0
    /// Safe to try again.
    case notExecuted = 1
    /// The procedure is not served.
    case unimplemented = 2
    /// A `Fault` of the method's own.
    case fault = 3
}

extension RPCFrameTarget {
    init(_ procedure: Procedure) {
        self.init(
            procedure: procedure.number, instance: procedure.instance?.rawValue ?? "", name: procedure.name.string)
    }
}

extension Procedure {
    init(_ target: RPCFrameTarget) {
        self.init(number: target.procedure, name: target.name, instance: target.instance)
    }

    /// An upper bound of what it adds to its frame.
    var frameBytes: Int { name.string.utf8.count + (instance?.rawValue.utf8.count ?? 0) + 64 }
}
