"""S3 at the speed of the link: how objects travel, and the client for users.

:mod:`flowsdk.s3.wire` sends one request, :mod:`flowsdk.s3.lanes` decides how many go at once, and
:mod:`flowsdk.s3.transfers` makes whole objects of them. The datastore stands on that, and so does the
:class:`~flowsdk.s3.client.S3` of users. Nothing here knows of flows' keys.
"""
