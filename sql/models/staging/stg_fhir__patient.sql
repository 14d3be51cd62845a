with source as (
    select * from fhir.patient
),

final as (
    select
        resource_key,
        id as resource_id,
        birth_date,
        gender,
        birthsex,
        race_code,
        race_display,
        ethnicity_code,
        ethnicity_display,
        marital_status_code,
        coalesce(deceased_boolean, deceased_datetime is not null) as is_deceased,
        deceased_datetime,
        state,
        country,
        version_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
