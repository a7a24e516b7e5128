"""What the texts in a component's arguments have to look like."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """What a text has to look like, and how to say so to a person."""

    expression: str
    allowed: str
    maximum: int = 2048
    """Longest text, in characters."""

    def refuses(self, text: str) -> bool:
        return len(text) > self.maximum or re.fullmatch(self.expression, text) is None


ACCOUNT_ID = Pattern(r"\d{12}", "an AWS account id: 12 digits, quoted")
REGION = Pattern(r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region, for example eu-west-1")
PARTITION = Pattern(r"aws(-[a-z]+)*", "an AWS partition: aws, aws-cn or aws-us-gov")
ARN = Pattern(r"arn:aws(-[a-z]+)*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws)?:.+", "an ARN: arn:aws:…")
ROLE_BOUNDARY_ARN = Pattern(r"arn:aws(-[a-z]+)*:iam::(\d{12}|aws):policy/.+", "the ARN of an IAM managed policy")
KEY_ARN = Pattern(
    r"arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+", "the ARN of a KMS key: arn:aws:kms:…:key/…"
)
TOPIC_ARN = Pattern(r"arn:aws(-[a-z]+)*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+(\.fifo)?", "the ARN of an SNS topic")
BUCKET_NAME = Pattern(
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    r"(?!xn--|sthree-|amzn-s3-demo-)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9](?<!-s3alias)(?<!--ol-s3)",
    "a bucket name: 3 to 63 characters of a-z, 0-9, dot and hyphen, first and last a letter or digit",
)
HTTPS_URL = Pattern(r"https://[^\s/]+(/\S*)?", "a URL that starts with https://")

# The values that CloudWatch Logs takes:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip

TAG_VALUE = Pattern(
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    r"[\w\s.:/=+\-@]*",
    "a tag value: up to 256 letters, digits, spaces and _ . : / = + - @",
    maximum=256,
)
RESOURCE_NAME = Pattern(
    # The strictest of what SageMaker, CloudWatch, IAM and SNS take.
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    "a name of a-z, 0-9 and hyphen, first and last a letter or digit",
    maximum=63,
)
