// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

private struct Outcome: Equatable {
    var requests: [UpgradeRequest] = []
    var bodies: [Bytes?] = []
    var error: HTTPError?
}

private func outcome(_ pieces: [Bytes]) -> Outcome {
    var decoder = HTTPDecoder(maxHeadBytes: 1024, maxBodyBytes: 512)
    var outcome = Outcome()
    do throws(HTTPError) {
        for piece in pieces {
            var rest = piece
            var isRead = false
            while !isRead {
                switch try decoder.decode(rest.span) {
                case .needMore: isRead = true
                case .head(let request, let bodyFollows, let consumed):
                    outcome.requests.append(request)
                    if !bodyFollows { outcome.bodies.append(nil) }
                    rest.removeFirst(consumed)
                case .body(let body, let consumed):
                    precondition(body.count <= 512, "a body over the limit")
                    outcome.bodies.append(body)
                    rest.removeFirst(consumed)
                }
            }
            precondition(decoder.heldBytes <= 16384, "more held than a request may have")
        }
    } catch {
        outcome.error = error
    }
    return outcome
}

/// However a stream is cut, it holds the same requests; a target that is read has a bounded query; no answer has a
/// line more than it was given.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    let whole = outcome([bytes])
    let cut = bytes.count / 2
    precondition(whole == outcome([Bytes(bytes[..<cut]), Bytes(bytes[cut...])]), "the cut changes the requests")
    precondition(whole == outcome(bytes.map { [$0] }), "the cut changes the requests")
    for request in whole.requests {
        do throws(WireError) {
            let target = try HTTPTarget(request.path)
            precondition(target.parameters.count <= 32 && request.path.hasPrefix(target.path), "a target")
            _ = target.segments
        } catch {}
        let lines = HTTPResponse(headers: request.headers).encoded(keepsAlive: request.keepsAlive).count { $0 == 10 }
        precondition(lines == request.headers.count + 4, "the answer has other lines")
    }
    return 0
}
