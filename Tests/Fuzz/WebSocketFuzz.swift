// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

private struct Outcome: Equatable {
    var events: [WebSocketEvent] = []
    var error: WebSocketError?
}

private func outcome(_ pieces: [Bytes], expectsMask: Bool) -> Outcome {
    var decoder = WebSocketDecoder(maxMessageBytes: 4096, expectsMask: expectsMask)
    var outcome = Outcome()
    do throws(WebSocketError) {
        for piece in pieces {
            try decoder.decode(piece.span) { event, _ in
                outcome.events.append(event)
                return true
            }
        }
    } catch {
        outcome.error = error
    }
    return outcome
}

/// However a stream is cut, it says the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWebSocket(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    for expectsMask in [true, false] {
        let whole = outcome([bytes], expectsMask: expectsMask)
        let cut = Int(bytes.last ?? 0) % (bytes.count + 1)
        let parts = outcome([Bytes(bytes[..<cut]), Bytes(bytes[cut...])], expectsMask: expectsMask)
        let single = outcome(bytes.map { [$0] }, expectsMask: expectsMask)
        precondition(whole == parts && whole == single, "the cut changes the events")
    }
    return 0
}
