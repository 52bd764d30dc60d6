// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloDeflate/Inflater.swift Sources/PomeloDeflate/Deflater.swift
// swiftc: -I Sources/CZlib

private struct Outcome: Equatable {
    var events: [WebSocketEvent] = []
    var error: WebSocketError?
}

private func outcome(_ pieces: [Bytes], expectsMask: Bool) -> Outcome {
    var decoder = WebSocketDecoder(maxMessageBytes: 4096, expectsMask: expectsMask, allowsCompressed: true)
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

/// Of an offer comes a line without an end in it, which reads as an offer of the same.
private func negotiate(_ offer: Bytes) {
    let text = String(decoding: offer, as: UTF8.self)
    let request = { (value: String) in
        UpgradeRequest(
            method: "GET", path: "/", isHTTP11: true,
            headers: [UpgradeRequest.Header(name: "sec-websocket-extensions", value: value)])
    }
    for keeps in [true, false] {
        do throws(WireError) {
            guard let agreement = try request(text).deflateAgreement(keepsClientContext: keeps) else { continue }
            precondition((9...15).contains(agreement.serverWindowBits), "no window of zlib's")
            precondition((8...15).contains(agreement.clientWindowBits), "no window")
            precondition(agreement.answer.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }, "another line")
            let again = try request(agreement.answer).deflateAgreement(keepsClientContext: keeps)
            precondition(again?.answer == agreement.answer, "the answer is no offer of the same")
        } catch {
            continue
        }
    }
}

private func inflated(_ message: Bytes, _ inflater: Inflater, limit: Int = 4096) -> Result<Bytes, WireError> {
    do throws(WireError) {
        return .success(try inflater.inflate(message.span, limit: limit))
    } catch {
        return .failure(error)
    }
}

/// What is inflated is within its limit, the same each time, and comes back when it is deflated again.
private func inflate(_ message: Bytes) {
    do throws(WireError) {
        for format in Inflater.Format.allCases {
            let inflater = try Inflater(format)
            let first = inflated(message, inflater)
            precondition(inflated(message, inflater) == first, "another result the second time")
            guard case .success(let text) = first else { continue }
            precondition(text.count <= 4096, "more than the limit")
            precondition(inflated(message, inflater, limit: text.count) == first, "the limit is not exact")
            if !text.isEmpty {
                let less = inflated(message, inflater, limit: text.count - 1)
                precondition(less == .failure(.tooLarge(limit: text.count - 1)), "the limit is not exact")
            }
            guard let short = try Deflater().deflate(text.span) else { continue }
            precondition(short.count < text.count, "it got no smaller")
            let other = try Inflater(.raw)
            precondition(inflated(short, other) == .success(text), "it does not come back")
        }
        let keeping = try Inflater(.raw, windowBits: 9, keepsContext: true)
        for _ in 0..<3 {
            guard case .success(let text) = inflated(message, keeping) else {
                break
            }
            precondition(text.count <= 4096, "more than the limit")
        }
    } catch {
        preconditionFailure("no memory")
    }
}

/// Up to the first newline an offer, then frames; all of it as a compressed message too.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDeflate(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    let parts = bytes.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false).map { Bytes($0) }
    negotiate(parts[0])
    inflate(bytes)
    guard parts.count > 1 else { return 0 }
    for expectsMask in [true, false] {
        let whole = outcome([parts[1]], expectsMask: expectsMask)
        let cut = Int(bytes.last ?? 0) % (parts[1].count + 1)
        let two = outcome([Bytes(parts[1][..<cut]), Bytes(parts[1][cut...])], expectsMask: expectsMask)
        precondition(whole == two && whole == outcome(parts[1].map { [$0] }, expectsMask: expectsMask), "a cut counts")
        for event in whole.events {
            if case .compressed(_, let message) = event { inflate(message) }
        }
    }
    return 0
}
