// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

private struct Outcome: Equatable {
    var frames: [RPCFrame] = []
    var error: WireError?
}

private func outcome(_ pieces: [Bytes]) -> Outcome {
    var decoder = RPCDecoder(maxFrameBytes: 4096)
    var outcome = Outcome()
    do throws(WireError) {
        for piece in pieces {
            try decoder.decode(piece.span) { frame, _ in
                outcome.frames.append(frame)
                return true
            }
        }
    } catch {
        outcome.error = error
    }
    return outcome
}

/// However a stream is cut, the frames are the same, and written anew they are the bytes of the stream.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRPC(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    let whole = outcome([bytes])
    let cut = Int(bytes.last ?? 0) % (bytes.count + 1)
    precondition(
        whole == outcome([Bytes(bytes[..<cut]), Bytes(bytes[cut...])]), "the cut changes the frames")
    precondition(whole == outcome(bytes.map { [$0] }), "the cut changes the frames")
    var written: Bytes = []
    for frame in whole.frames {
        written += (try? frame.encoded()) ?? [0xFF]
    }
    precondition(bytes.starts(with: written), "frames are not the bytes of the stream")
    return 0
}
