// SPDX-License-Identifier: MIT
import Pomelo

/// Everything that clients and servers say to each other, but for what is handled as JSON or bytes.
enum GameAPI {
    static let login = Call<Login, Place>("connector.entryHandler.login")
    static let travel = Call<Travel, Place>("connector.entryHandler.travel")
    static let logout = Call<Nothing, Nothing>("connector.entryHandler.logout")

    static let look = Call<Nothing, View>("area.areaHandler.look")
    static let move = Call<Step, Spot>("area.areaHandler.move")
    static let path = Call<Spot, Path>("area.areaHandler.path")
    static let rest = Call<Rest, Nothing>("area.areaHandler.rest")
    static let buy = Call<Purchase, Purse>("area.shopHandler.buy")

    static let say = Call<Words, Heard>("chat.chatHandler.say")
    static let whisper = Call<Words, Heard>("chat.chatHandler.whisper")
    static let whereIs = Call<Wanted, Spot>("chat.chatHandler.whereIs")
    static let kick = Call<Kick, Kicked>("chat.masterHandler.kick")

    static let arrive = Remote<Visit, Place>("area.areaRemote.arrive")
    static let depart = Remote<Visit, Nothing>("area.areaRemote.depart")
    static let find = Remote<Wanted, Spot>("area.areaRemote.find")
    static let count = Remote<Nothing, Int>("area.areaRemote.count")
    static let herbs = Remote<Travel, Herbs>("area.areaRemote.herbs")

    static let onMove = Push<Moved>("onMove")
    static let onArrive = Push<Player.Name>("onArrive")
    static let onDepart = Push<Player.Name>("onDepart")
    static let onGrow = Push<Herbs>("onGrow")
    static let onSay = Push<Said>("onSay")
    static let onNews = Push<News>("onNews")
    static let onClosing = Push<Closing>("onClosing")

    /// What the servers must serve, each its own type's part.
    static let routes = [
        login.route, travel.route, logout.route, look.route, move.route, path.route, rest.route, buy.route, say.route,
        whisper.route, whereIs.route, kick.route, arrive.route, depart.route, find.route, count.route, herbs.route,
    ]

    struct Login: Body {
        var name: String
        var area: Int
    }
    struct Travel: Body { var area: Int }
    struct Place: Body {
        var server: ServerID
        var area: Int
        var name: String
        var spot: Spot
    }

    struct Spot: Body, Hashable {
        var x: Int
        var y: Int
    }
    struct Step: Body {
        var dx: Int
        var dy: Int
    }
    struct Path: Body { var steps: [Spot] }
    struct View: Body {
        var server: ServerID
        var spot: Spot
        var gold: Int
        var bag: [String]
        var others: [UserID]
    }
    struct Rest: Body { var milliseconds: Int }
    struct Purchase: Body { var item: String }
    struct Purse: Body {
        var gold: Int
        var bag: [String]
    }

    struct Words: Body {
        var text: String
        var to: UserID?
    }
    struct Heard: Body { var by: Int }
    struct Wanted: Body {
        var name: UserID
        var area: Int
    }
    struct Kick: Body {
        var name: UserID
        var reason: String
    }
    struct Kicked: Body { var sessions: Int }

    /// Somebody who comes to an area, or leaves it.
    struct Visit: Body {
        var name: UserID
        var frontend: ServerID
        var area: Int
    }

    struct Moved: Body {
        var name: UserID
        var spot: Spot
    }
    struct Herbs: Body {
        var area: Int
        var herbs: Int
    }
    struct Said: Body {
        var from: UserID
        var text: String
    }
    struct News: Body {
        var players: Int
        var servers: [ServerID]
        var featured: Herbs
    }
    struct Closing: Body { var server: ServerID }
}

extension ServerType {
    static let gate: Self = "gate"
    static let connector: Self = "connector"
    static let area: Self = "area"
    static let chat: Self = "chat"
}
