// SPDX-License-Identifier: MIT
import Foundation
import PomeloCore
import Testing

/// Every input that fuzzing starts from or has found, given to the decoder of calls between servers.
@Suite struct PayloadCorpusTests {
    @Test func replay() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fuzz/Corpus")
        let corpora = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        let files = try corpora.flatMap {
            try FileManager.default.contentsOfDirectory(at: $0, includingPropertiesForKeys: nil)
        }
        #expect(files.contains { $0.path.hasSuffix("payload/false-count") })
        for file in files {
            let bytes = [UInt8](try Data(contentsOf: file))
            for start in [0, min(8, bytes.count)] {
                let payload = Array(bytes[start...])
                read(payload) { reader throws(PomeloError) in _ = try reader.texts() }
                read(payload) { reader throws(PomeloError) in
                    _ = (try reader.number(), try reader.text(), try reader.data(), try reader.rest())
                }
                read(payload) { reader throws(PomeloError) in while true { _ = try reader.count() } }
            }
        }
    }

    private func read(_ payload: [UInt8], _ body: (inout PayloadReader) throws(PomeloError) -> Void) {
        var reader = PayloadReader(payload)
        do throws(PomeloError) {
            try body(&reader)
        } catch {
            #expect(error.code == .encoding)
        }
    }
}
