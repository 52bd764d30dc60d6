// SPDX-License-Identifier: MIT
import Metrics
import MetricsTestKit
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// What a client is told whose object does not fit the type of the handler: what is wrong with it, in words of the
/// contract, and nothing that was in it.
@Suite struct MisfitTests {
    enum Color: String, Codable, Sendable { case red, blue }
    struct Item: Codable, Sendable { var id: UInt8 }
    struct Order: Codable, Sendable {
        struct Place: Codable, Sendable { var x: Double }

        var name: String
        var color: Color?
        var place: Place?
        var items: [Item]?
        var scores: [String: Int]?
        var byRoom: [Text: [Item]]?
        var isGift: Bool?
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let body: String
        let message: String
        var testDescription: String { body }
    }

    static let rows = [
        Row(body: "{}", message: "name is missing"),
        Row(body: "", message: "name is missing"),
        Row(body: "null", message: "name is missing"),
        Row(body: #"{"name":"#, message: "the body is not JSON"),
        Row(body: #"{"name":null}"#, message: "name is missing"),
        Row(body: #"{"name":7}"#, message: "name is not a string"),
        Row(body: #"{"name":"a","color":"green"}"#, message: "color is not valid"),
        Row(body: #"{"name":"a","place":{}}"#, message: "place.x is missing"),
        Row(body: #"{"name":"a","place":{"x":"1"}}"#, message: "place.x is not a number"),
        Row(body: #"{"name":"a","place":3}"#, message: "place is not an object"),
        Row(body: #"{"name":"a","items":{}}"#, message: "items is not an array"),
        Row(body: #"{"name":"a","items":[{"id":1},{"id":"x"}]}"#, message: "items[1].id is not a whole number"),
        Row(body: #"{"name":"a","items":[{"id":256}]}"#, message: "items[0].id is not valid"),
        Row(body: #"{"name":"a","isGift":1}"#, message: "isGift is not true or false"),
        // Keys of a dictionary are the client's own words.
        Row(body: #"{"name":"a","scores":{"<b>secret":"x"}}"#, message: "scores.* is not a whole number"),
        Row(body: #"{"name":"a","byRoom":{"secret":[{"id":1},{}]}}"#, message: "byRoom.*[1].id is missing"),
    ]

    /// Servers of which those of a type take orders.
    @Loop private func shop(at type: String) async throws -> TestCluster {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        try await cluster.startAll { app in
            try app.configure("all", type) { app in
                try app.handle(Routes { $0.on(Call<Order, Nothing>("\(type).shop.order")) { _, _ in Nothing() } })
            }
        }
        return cluster
    }

    @Test(arguments: rows, ["connector", "chat"])
    @Loop func theClientIsToldWhatIsWrong(_ row: Row, _ type: String) async throws {
        let cluster = try await shop(at: type)
        let client = try #require(cluster.connect("connector-1"))
        let id = client.request("\(type).shop.order", Array(row.body.utf8))
        await cluster.settle()
        #expect(client.texts(id) == [#"{"code":400,"message":"\#(row.message)"}"#])
    }

    @Test(arguments: ["connector", "chat"])
    @Loop func aNotifyThatDoesNotFitIsDroppedAndCounted(_ type: String) async throws {
        let metrics = TestMetrics()
        try await withMetricsFactory(metrics) {
            let cluster = try await shop(at: type)
            let dropped = try metrics.expectCounter("pomelo.dispatch.dropped")
            let client = try #require(cluster.connect("connector-1"))
            client.notify("\(type).shop.order", Array(#"{"name":"a"}"#.utf8))
            await cluster.settle()
            #expect(dropped.totalValue == 0)
            client.notify("\(type).shop.order")
            await cluster.settle()
            #expect(dropped.totalValue == 1 && client.answers.isEmpty && !client.isClosed)
        }
    }

    /// Only what the client sent is its fault: what a handler itself fails to decode says nothing to clients.
    @Test @Loop func anErrorOfTheHandlersOwnDecodingIsItsOwn() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        try await cluster.startAll { app in
            try app.handle(
                Routes {
                    $0.on(Call<Nothing, Nothing>("connector.shop.order")) { _, _ in
                        _ = try JSONCoder.decode(Item.self, from: Array("{}".utf8))
                        return Nothing()
                    }
                })
        }
        let client = try #require(cluster.connect("connector-1"))
        let id = client.request("connector.shop.order", [])
        await cluster.settle()
        #expect(client.texts(id) == [#"{"code":500}"#])
    }
}
