from __future__ import annotations

import botocore.session
import pytest

from infra.rehearsal.cloud import overlay


def test_a_second_handler_for_an_operation_is_refused():
    overlay.find("sagemaker", "CreateModel")
    with pytest.raises(ValueError, match=r"sagemaker\.CreateModel has two handlers: .*create_model and .*another"):

        @overlay.handler("sagemaker", "CreateModel")
        def another(call):
            return {}


def test_an_operation_without_anything():
    assert overlay.find("sagemaker", "CreateCodeRepository") == overlay.Handlers()


def test_every_name_is_an_operation_of_its_service():
    session = botocore.session.get_session()
    for service, operation in overlay.carried():
        model = session.get_service_model(service)
        assert model.operation_model(operation).name == operation


def test_mends_and_checks_are_found():
    assert overlay.find("sns", "Publish").afters
    assert overlay.find("logs", "DeleteLogGroup").befores
