// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloContract/Identifiers.swift Sources/PomeloContract/Errors.swift
// with: Sources/PomeloContract/Payload.swift

/// The first byte of each step says what is asked for next; whatever is read can be written, as the same bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPayload(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    let steps = bytes.prefix(8)
    let payload = Bytes(bytes.dropFirst(8))
    var reader = PayloadReader(payload)
    var writer = PayloadWriter()
    // Bytes that are no UTF-8 are read as others.
    var isExact = true
    do throws(PomeloError) {
        for step in steps {
            switch step % 6 {
            case 0: writer.number(try reader.number())
            case 1: writer.count(try reader.count())
            case 2:
                let text = try reader.text()
                isExact = isExact && !text.unicodeScalars.contains("\u{FFFD}")
                writer.text(text)
            case 3: writer.data(try reader.data())
            case 4:
                let texts = try reader.texts()
                isExact = isExact && !texts.contains { $0.unicodeScalars.contains("\u{FFFD}") }
                writer.texts(texts)
            default: writer.rest(try reader.rest())
            }
        }
    } catch {
        // What came before the error was read rightly, too.
    }
    if isExact { precondition(payload.starts(with: writer.bytes), "what was written is not what was read") }
    return 0
}
