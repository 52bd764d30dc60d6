// SPDX-License-Identifier: MIT
import PomeloBytes
import Testing

@Suite("Hashes")
struct HashTests {
    @Test(
        "pomelo's checksum",
        arguments: [
            ("a", 390_611_389), ("1", 2_082_672_713), ("user1", 1_940_814_507), ("10001", 12_275_155),
            ("中文", 305_094_291), ("", 0),
        ] as [(String, UInt32)])
    func crc32(text: String, number: UInt32) {
        #expect(CRC32.pomelo(text) == number)
    }

    @Test(
        "published values of FNV-1a",
        arguments: [
            ("", 0xCBF2_9CE4_8422_2325), ("a", 0xAF63_DC4C_8601_EC8C), ("foobar", 0x8594_4171_F739_67E8),
        ] as [(String, UInt64)])
    func fnv1a(text: String, number: UInt64) {
        #expect(FNV1a.hash64(text) == number)
    }

    @Test(arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"])
    func base64(_ plain: String) {
        let expected = [
            "": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE=",
            "foobar": "Zm9vYmFy",
        ]
        #expect(Base64.encode(utf8(plain)) == expected[plain])
    }

    @Test func rendezvousNeverChanges() {
        let servers = ["chat-server-1", "chat-server-2", "chat-server-3"]
        let picks = (0..<12).map { Rendezvous.pick(key: "room\($0)", among: servers)?.last }
        #expect(picks.compactMap { $0 }.map(String.init).joined() == "112223322123")
    }

    @Test func rendezvousIsSpreadAndStable() {
        let servers = (1...5).map { "connector-server-\($0)" }
        let keys = (0..<5000).map { "user\($0)" }
        var counts: [String: Int] = [:]
        for key in keys {
            guard let pick = Rendezvous.pick(key: key, among: servers) else { continue }
            counts[pick, default: 0] += 1
            #expect(Rendezvous.pick(key: key, among: servers.reversed()) == pick)
            // Losing another server moves nothing.
            let others = servers.filter { $0 == pick || $0 != "connector-server-3" }
            #expect(Rendezvous.pick(key: key, among: others) == pick)
        }
        #expect(counts.values.allSatisfy { (850...1150).contains($0) })
    }

    @Test func rendezvousOfNoneAndOne() {
        #expect(Rendezvous.pick(key: "k", among: []) == nil)
        #expect(Rendezvous.pick(key: "k", among: ["only"]) == "only")
        #expect(Rendezvous.pick(key: "k", among: 2) { _ in "x" } == 0)
        #expect(Rendezvous.pick(key: "k", among: -1) { _ in "x" } == nil)
    }
}
