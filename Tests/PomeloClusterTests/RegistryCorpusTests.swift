// SPDX-License-Identifier: MIT
import Foundation
import PomeloCore
import PomeloRedis
import Testing

@testable import PomeloCluster

/// Every input that fuzzing starts from or has found, given to the decoders of what Redis holds.
@Suite struct RegistryCorpusTests {
    private func files(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fuzz/Corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .map { ($0.lastPathComponent, [UInt8](try Data(contentsOf: $0))) }
    }

    @Test(arguments: ["registry", "reply", "payload", "json"]) func replay(_ corpus: String) throws {
        for (name, bytes) in try files(corpus) {
            let text = String(decoding: bytes, as: UTF8.self)
            if let info = RegistryEntry.decode(text, of: "connector-1") {
                let written = RegistryEntry.encode(info)
                let again = RegistryEntry.decode(written, of: "connector-1").map(RegistryEntry.encode)
                #expect(again == written, "\(name)")
                #expect(RegistryEntry.instance(text) == info.instance, "\(name)")
            }
            var feed = ClusterFeed(epoch: 0, position: "0-0")
            let fields = ["e", "1", "op", "put", "id", "connector-1", "entry", text].map(RedisReply.text)
            _ = feed.take([ClusterFeed.Entry(.array([.text("1-0"), .array(fields)]))])
            _ = feed.take([ClusterFeed.Entry(.array([.bulk(bytes), .array([.bulk(bytes)])]))])
            #expect(feed.epoch >= 0)
        }
    }
}
