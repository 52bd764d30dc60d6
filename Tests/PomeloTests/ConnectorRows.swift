// SPDX-License-Identifier: MIT

/// The part of `rowTable` about connectors.
let connectorRows = """
    pomelo.connectors.hybridconnector
        ConnectorSuiteTests.theHybridConnectorOverTCP
        ConnectorSuiteTests.theHybridConnectorOverWebSocket
    connectorConfig {heartbeat, timeout}
        TimingTests.heartbeats
        TimingTests.theTimeoutCanBeSet
    connectorConfig {useDict}
        HandshakeTests.theDictionaryIsSentToThoseWithoutIt
        HandshakeTests.codesAreReadAndWritten
    connectorConfig {ssl}
        EncryptedPortTests.aPomeloClientDoesAllItDoes
        EncryptedPortTests.opensslSpeaksEachVersion
        EncryptedPortTests.aCertificateIsExchangedUnderLoadAndNobodyIsLost
    connectorConfig {useProtobuf}
        ProtobufConnectorTests.theHandshakeIsTheOriginals
        ProtobufConnectorTests.messagesOfARouteWithASchemaAreTranslated
        ProtobufReloadTests.clientsKeepTheSchemasTheyWereWelcomedWith
        ProtobufSchemaTests.whatIsNoSchemaIsNamed
        ProtobufReferenceTests.agree
    connectorConfig {checkClient, handshake}
        TimingTests.aHookThatTakesTooLongIsAnswered500
    a body that the client has compressed
        CompressedBodyTests.zlibAndGzipAreInflated
        CompressedBodyTests.whatCannotBeInflatedIsAnsweredOrDropped
        CompressedBodyTests.whoTurnsItOffDropsThem
    permessage-deflate of the WebSocket library
        CompressionTests.isAgreedToWhereItIsOffered
        DeflateAgreementTests.isJudged
        WebSocketCaseTests.publishedClientsAreUnderstood
    connectorConfig {useCrypto}
        SignatureTests.whatOtherProgramsSignIsVerified
        SignedMessageTests.whatIsSignedIsHeardWithoutItsSignature
        SignedMessageTests.whatIsNotIsNotHeardAndARequestIsTold
        SignedMessageTests.whoShowsNoKeyIsRefused
    connectorConfig {useHostFilter, blacklistFun}
        BlacklistTests.whoIsListedIsClosedUnheard
        BlacklistTests.whoIsAskedAboutWaits
        BlacklistTests.aJudgeThatDoesNotAnswerHoldsNobodyForEver
    console blacklist ip…
        BlacklistTests.theListOfTheServerChangesWhileItRuns
        BlacklistTests.theListHasABound
    connectorConfig {distinctHost}
        ClientPlanTests.eachListensOnThePortOfItsType
    connectorConfig {setNoDelay}
        ConnectorSuiteTests.theHybridConnectorOverTCP
    max-connections
        PendingTests.whoComesBeyondTheLimitWaitsUntilThereIsRoom
    pomelo.connectors.sioconnector
        SocketIOSharingTests.requestsGoToWhoseTheyAre
        SocketIOSharingTests.onOnePortAndOnTwo
        SocketIOSessionTests.anUpgradeLosesNothing
    connectorConfig {transports, heartbeats, closeTimeout, heartbeatTimeout, heartbeatInterval}
        SocketIOOptionsTests.numbersBelowAThousandAreSeconds
        SocketIOOptionsTests.transportsOfWhichNoneIsOfferedDoNotStart
        SocketIOOptionsTests.whatIsNotOfferedIsWarnedOfOnce
    pomelo.connectors.mqttconnector
        ConnectorSuiteTests.theMQTTConnector
        MQTTPacketTests.areReadAndWritten
        MQTTMessageTests.aMessageOfQoS2IsHandedOnOnce
        MQTTMessageTests.aPushIsAMessageOnItsRouteOrAsItsBodySays
        MQTTMessageTests.aKickIsToldAndThenTheConnectionIsClosed
    connectorConfig {publishRoute, subscribeRoute}
        MQTTMessageTests.whatIsPublishedReachesTheRoute
        MQTTMessageTests.answersThatAreMessagesArePublishedAndOthersAreNot
        MQTTMessageTests.theHandlerIsAskedAndAnswersWhatItGrants
        MQTTMessageTests.withoutARouteTopicsAreRoutes
        MQTTMessageTests.withoutARouteEverythingIsGranted
    connectorConfig {timeout, disconnectOnTimeout}
        MQTTLimitTests.withoutAKeepAliveTheIdleTimeoutCounts
        MQTTLimitTests.silenceEndsTheConnection
    pomelo.connectors.udpconnector
        UDPConnectorTests.aClientAsTheOriginalsShakesHandsAndTalks
        UDPSuiteTests.overTheKernel
        UDPServerTests.aClientInPythonTalksIsKickedAndFindsTheNextServer
    connectorConfig {udpType}
        DatagramSocketTests.aSocketOnAllAddressesHearsBothFamilies
    connectorConfig {connector: FooConnector}
        CustomConnectorTests.itIsMadeOfHostClientPortAndOptions
    connectorConfig {connector: new FooConnector(…)}
        CustomConnectorTests.oneThatIsGivenIsStartedAsOftenAsTheServer
        PipeChatTests.aProgramOfTheSameMachineChats
    connectorConfig {encode, decode}
        CustomCodecTests.theOptionsStandAboveTheConnectorEachByItself
        CustomCodecTests.withoutACodecTheStartIsAnErrorThatNamesTheConnector
        CustomCodecTests.passThroughTakesMessagesAsTheyAre
    connectorConfig {useAsyncCoder}
        CustomCodecTests.aCodecThatAnswersLateKeepsTheOrderOfEachClient
        CustomCodecTests.aCodecThatNeverAnswersLosesOneMessageAndNoClient
        CustomCodecTests.aCodecThatThrowsLaterLosesOneMessageAndNoClient
    connector start, stop, event connection
        ConnectorSuiteTests.thePipeConnector
        CustomConnectorTests.aConnectorThatCannotListenEndsTheStartAndIsNamed
        CustomConnectorTests.aConnectorThatDoesNotStopIsStoppedByForce
    connector encode, decode
        CustomCodecTests.whatTheCodecDoesNotTakeIsDroppedAndCounted
        CustomCodecTests.whatTheCodecDoesNotEncodeIsReportedAndNotSent
        CustomCodecTests.aPushIsEncodedOnceForAllClients
    socket send, sendBatch, disconnect, event closing
        CustomConnectorTests.theSocketIsToldWhyBeforeItIsClosed
        CustomCodecTests.aPushIsEncodedOnceForAllClients
    socket events message, disconnect, error
        CustomConnectorTests.eachClientEndsOnceHoweverOftenItIsSaid

    """
