// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

private struct Outcome: Equatable {
    var request: UpgradeRequest?
    var error: WireError?
    var consumed = 0
}

private func outcome(_ pieces: [Bytes]) -> Outcome {
    var decoder = UpgradeDecoder(maxHeadBytes: 1024)
    var outcome = Outcome()
    do throws(WireError) {
        for piece in pieces {
            switch try decoder.decode(piece.span) {
            case .needMore:
                outcome.consumed += piece.count
            case .request(let request, let consumed):
                outcome.consumed += consumed
                outcome.request = request
                return outcome
            }
        }
    } catch {
        outcome.error = error
        outcome.consumed = 0
    }
    return outcome
}

/// However a head is cut, it reads the same, and no verdict leaves room for another header in the answer.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzUpgrade(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    let whole = outcome([bytes])
    let cut = bytes.count / 2
    precondition(
        whole == outcome([Bytes(bytes[..<cut]), Bytes(bytes[cut...])]), "the cut changes the request")
    precondition(whole == outcome(bytes.map { [$0] }), "the cut changes the request")
    if case .accept(let key, let subprotocol) = whole.request?.verdict() {
        let reply = UpgradeReply.accept(key: key, protocol: subprotocol) { $0 }
        let lines = reply.filter { $0 == 10 }.count
        precondition(lines == (subprotocol == nil ? 5 : 6), "the answer has other lines")
    }
    return 0
}
