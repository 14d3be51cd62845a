with source as (
    select * from fhir.condition
),

final as (
    select
        resource_key,
        id as resource_id,
        patient_id,
        encounter_id,
        clinical_status,
        verification_status,
        category_code,
        code,
        code_system,
        coalesce(code_display, code_text) as code_name,
        onset_datetime,
        abatement_datetime,
        recorded_datetime,
        version_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
