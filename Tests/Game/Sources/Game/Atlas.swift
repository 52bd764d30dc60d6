// SPDX-License-Identifier: MIT
import Pomelo

/// `config/world.json`: what the world is made of.
struct Atlas: Decodable, Sendable {
    struct Area: Decodable {
        var number: Int
        var name: String
    }

    var areas: [Area]
    /// The area that the news is about.
    var featured: Int
    /// An area's width and height.
    var size: Int
    var walls: [[Int]]
    /// What a new player has.
    var gold: Int
    var prices: [String: Int]
    /// How much a bag holds.
    var bag: Int
    var gameMasters: Set<UserID>

    func area(_ number: Int) -> Area? { areas.first { $0.number == number } }

    func isOpen(_ spot: GameAPI.Spot) -> Bool {
        (0..<size).contains(spot.x) && (0..<size).contains(spot.y) && !walls.contains([spot.x, spot.y])
    }

    /// The shortest way, without where it begins; nil when there is none.
    func path(from start: GameAPI.Spot, to end: GameAPI.Spot) -> [GameAPI.Spot]? {
        var origins = [start: start]
        var edge = [start]
        while !edge.isEmpty, origins[end] == nil {
            var next: [GameAPI.Spot] = []
            for spot in edge {
                for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1)] {
                    let neighbour = GameAPI.Spot(x: spot.x + dx, y: spot.y + dy)
                    guard isOpen(neighbour), origins[neighbour] == nil else { continue }
                    origins[neighbour] = spot
                    next.append(neighbour)
                }
            }
            edge = next
        }
        var path: [GameAPI.Spot] = []
        var spot = end
        while spot != start {
            guard let origin = origins[spot] else { return nil }
            path.append(spot)
            spot = origin
        }
        return path.reversed()
    }
}
