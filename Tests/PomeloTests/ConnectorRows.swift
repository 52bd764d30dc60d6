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
    connectorConfig {useProtobuf}
        ProtobufConnectorTests.theHandshakeIsTheOriginals
        ProtobufConnectorTests.messagesOfARouteWithASchemaAreTranslated
        ProtobufReloadTests.clientsKeepTheSchemasTheyWereWelcomedWith
        ProtobufSchemaTests.whatIsNoSchemaIsNamed
        ProtobufReferenceTests.agree
    connectorConfig {checkClient, handshake}
        TimingTests.aHookThatTakesTooLongIsAnswered500
    pomelo.connectors.sioconnector
        SocketIOSharingTests.requestsGoToWhoseTheyAre
        SocketIOSharingTests.onOnePortAndOnTwo
        SocketIOSessionTests.anUpgradeLosesNothing
    connectorConfig {transports, heartbeats, closeTimeout, heartbeatTimeout, heartbeatInterval}
        SocketIOOptionsTests.numbersBelowAThousandAreSeconds
        SocketIOOptionsTests.transportsOfWhichNoneIsOfferedDoNotStart
        SocketIOOptionsTests.whatIsNotOfferedIsWarnedOfOnce
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
