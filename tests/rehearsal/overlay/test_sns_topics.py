"""Topic attributes that moto drops."""

from __future__ import annotations


def test_a_topics_signature_version_comes_back(cloud):
    sns = cloud.client("sns")
    arn = sns.create_topic(Name="signed", Attributes={"SignatureVersion": "2"})["TopicArn"]
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["SignatureVersion"] == "2"
    sns.set_topic_attributes(TopicArn=arn, AttributeName="SignatureVersion", AttributeValue="1")
    sns.set_topic_attributes(TopicArn=arn, AttributeName="TracingConfig", AttributeValue="Active")
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (attributes["SignatureVersion"], attributes["TracingConfig"]) == ("1", "Active")
    sns.delete_topic(TopicArn=arn)
    again = sns.create_topic(Name="signed")["TopicArn"]
    assert "SignatureVersion" not in sns.get_topic_attributes(TopicArn=again)["Attributes"]
